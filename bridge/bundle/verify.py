"""Offline verification of a bundle: a numbered checklist that stops at the first failure and names it. No network, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import rlp  # type: ignore[import-untyped]
from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from bridge.bundle import model, trie
from bridge.bundle.model import Bundle
from compliance.transfer.clearance import recover, verify_clearance
from hk_l2.abi_codec import contract_abi
from hk_l2.typed_data import ClearanceData, Domain
from lianqiao_base.errors import LianqiaoError, Rejected
from mainland_chain.light.claims import AssetClaim, TelemetryClaim, UnitLockClaim, destination_id
from mainland_chain.light.packet import verify_packet
from mainland_chain.light.trust import TrustedState

EIP1559 = b"\x02"
_HEADER_TRANSACTIONS, _HEADER_RECEIPTS, _HEADER_NUMBER, _HEADER_TIME = 4, 5, 8, 11


@dataclass(frozen=True, slots=True)
class Options:
    """What the auditor trusts from elsewhere. Without them the checklist says what stays unshown."""

    genesis_hash: bytes | None = None
    """Chain id of the ledger, 32 bytes."""
    l2_block_hash: bytes | None = None
    """Hash of a final L2 block, 32 bytes."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the checklist. `ok` is None for what nobody gave the means to check."""

    number: int
    title: str
    ok: bool | None
    detail: str


@dataclass(slots=True)
class _Run:
    """What the checks hand on to each other."""

    bundle: Bundle
    options: Options
    notes: list[str] = field(default_factory=list)
    asset: AssetClaim | None = None
    lock: UnitLockClaim | None = None
    telemetry: TelemetryClaim | None = None

    @property
    def domain(self) -> Domain:
        return Domain(self.bundle.l2.chain_id, to_checksum_address(self.bundle.l2.controller))

    @property
    def controller(self) -> bytes:
        return bytes.fromhex(self.bundle.l2.controller[2:])

    def header(self) -> list[bytes]:
        try:
            decoded = rlp.decode(self.bundle.l2.header)
        except (RLPException, RecursionError) as error:
            raise _fail("the block header is not RLP") from error
        if len(decoded) < 15 or not all(isinstance(f, bytes) for f in decoded):
            raise _fail("not a block header")
        return cast("list[bytes]", decoded)

    @property
    def block_time_s(self) -> int:
        return int.from_bytes(self.header()[_HEADER_TIME], "big")


def verify(data: bytes, options: Options | None = None) -> list[CheckResult]:
    """The checklist. It ends with the first failure; everything holds when no result has `ok` False."""
    return list(_verify(data, options or Options()))


def _verify(data: bytes, options: Options) -> Iterator[CheckResult]:
    try:
        bundle = model.from_json(model.parse(data))
    except LianqiaoError as error:
        yield CheckResult(1, "the document is a bundle: canonical, complete, within its schema", False, error.message)
        return
    yield CheckResult(1, "the document is a bundle: canonical, complete, within its schema", True, f"{len(data)} bytes")
    run = _Run(bundle, options)
    for number, (title, check) in enumerate(CHECKS, start=2):
        try:
            ok, detail = check(run)
        except LianqiaoError as error:
            subject = f" [{error.subject}]" if error.subject else ""
            yield CheckResult(number, title, False, f"{error.code}: {error.message}{subject}")
            return
        yield CheckResult(number, title, ok, detail)


Outcome = tuple[bool | None, str]


def _genesis(run: _Run) -> Outcome:
    given, trusted = run.bundle.genesis.chain_id, run.options.genesis_hash
    if trusted is None:
        return None, f"ledger {given.hex()}: compare this with a chain id you trust (--genesis-hash)"
    if given != trusted:
        raise _fail(f"the bundle is of ledger {given.hex()}, not of the one you trust")
    return True, f"ledger {given.hex()}, as you trust it"


def _rotations(run: _Run) -> Outcome:
    state = TrustedState.from_genesis(run.bundle.genesis)
    for rotation in run.bundle.rotations:
        state = state.apply_rotation(rotation)
    return True, f"{len(run.bundle.rotations)} rotations from epoch 0, each certified by the outgoing set"


def _claims(run: _Run) -> Outcome:
    bundle = run.bundle
    trusted = TrustedState.from_genesis(bundle.genesis)
    destination = destination_id(bundle.l2.chain_id, run.controller)
    claims = []
    for packet in bundle.packets:
        # The mint is later than what it rests on: the block's time is the clock of this check.
        verified = verify_packet(packet, trusted, destination=destination, now_ms=run.block_time_s * 1000)
        trusted = verified.trusted
        claims.append(verified.claim)
    asset, lock, telemetry = claims
    if not (
        isinstance(asset, AssetClaim) and isinstance(lock, UnitLockClaim) and isinstance(telemetry, TelemetryClaim)
    ):
        raise _fail("the claims must be those of the asset, the lock and the telemetry, in this order")
    run.asset, run.lock, run.telemetry = asset, lock, telemetry
    signatures = sum(len(p.checkpoint.certificate.signatures) for p in bundle.packets)
    openings = sum(len(p.openings) for p in bundle.packets)
    return True, f"3 claims in the export log, {signatures} SM2 signatures, {openings} fields opened"


def _belong_together(run: _Run) -> Outcome:
    asset, lock = cast("AssetClaim", run.asset), cast("UnitLockClaim", run.lock)
    telemetry, order = cast("TelemetryClaim", run.telemetry), run.bundle.order
    if len({asset.envelope.asset_ref, lock.envelope.asset_ref, telemetry.envelope.asset_ref}) > 1:
        raise _fail("the claims are about different assets")
    if order.lock_ref != lock.lock_ref:
        raise _fail("the order draws on another lock")
    if not order.units <= lock.units <= asset.unit_count:
        raise _fail("more units than the lock or the asset has")
    now_ms = run.block_time_s * 1000
    if now_ms >= min(lock.expiry_ms, lock.approval_expiry_ms):
        raise _fail("the lock or its export approval had expired when the tokens were minted")
    if run.block_time_s > order.deadline:
        raise _fail("the order's deadline had passed when the tokens were minted")
    if not lock.filing_reference:
        raise _fail("the lock names no filing")
    return True, (
        f"{order.units} of {lock.units} locked units of an asset of {asset.unit_count}; filing {lock.filing_reference}; "
        f"{telemetry.cumulative_energy_wh} Wh proven"
    )


def _order(run: _Run) -> Outcome:
    lock = cast("UnitLockClaim", run.lock)
    signer = recover(run.domain.order_digest(run.bundle.order), run.bundle.issuer_signature)
    if signer != lock.issuer:
        raise _fail("the order is not signed by the lock's issuer")
    return True, f"order {run.bundle.order.order_id.hex()} signed by {to_checksum_address(signer)}"


def _clearance(run: _Run) -> Outcome:
    bundle = run.bundle
    signers = verify_clearance(
        bundle.clearance,
        chain_id=bundle.l2.chain_id,
        controller=run.controller,
        allowed=frozenset(bundle.signers),
        threshold=len(bundle.signers),
        now_s=run.block_time_s,
    )
    if signers != bundle.signers:
        raise _fail("the clearance was signed by others than the bundle names")
    allowed = {s.lower() for s in bundle.l2.allowed_signers}
    if any("0x" + s.hex() not in allowed for s in signers) or len(signers) < bundle.l2.clearance_threshold:
        raise _fail("not enough signers are among those the contract allowed")
    return True, "signed by " + ", ".join(to_checksum_address(s) for s in signers)


def _decision(run: _Run) -> Outcome:
    record, clearance = run.bundle.decision, run.bundle.clearance.clearance
    if record.decision_hash != clearance.decision_hash:
        raise _fail("the clearance rests on another decision")
    about = f"order:{run.bundle.order.order_id.hex()}"
    # The schema holds nothing but an ALLOW of the Hong Kong zone.
    if record.subject != about:
        raise _fail("the decision is about something else")
    rules = ", ".join(f"{p.name} {p.version}" for p in record.rule_packs)
    return True, f"ALLOW, record {record.sequence} of the Hong Kong chain, under {rules}"


def _transaction(run: _Run) -> Outcome:
    bundle = run.bundle
    raw = bundle.l2.transaction
    if raw[:1] != EIP1559:
        raise _fail("not an EIP-1559 transaction")
    try:
        transaction = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    except (RLPException, ValueError, TypeError, RecursionError) as error:
        raise _fail("the transaction does not decode") from error
    clearance = bundle.clearance.clearance
    data = ClearanceData(clearance.decision_hash, clearance.expiry)
    order = bundle.order
    expected = contract_abi("MintController").encode_call(
        "mint",
        (
            (order.order_id, order.lock_ref, to_checksum_address(order.recipient), order.units, order.deadline),
            bundle.issuer_signature,
            (data.decision_hash, data.expiry),
            list(bundle.clearance.signatures),
        ),
    )
    if transaction["chainId"] != bundle.l2.chain_id or bytes(transaction["to"]) != run.controller:
        raise _fail("the transaction is for another chain or contract")
    if bytes(transaction["data"]) != expected:
        raise _fail("the transaction does not carry this order with this clearance")
    return True, f"0x{keccak(raw).hex()} calls MintController.mint with exactly these values"


def _receipt(run: _Run) -> Outcome:
    raw = run.bundle.l2.receipt
    try:
        fields = rlp.decode(raw[1:])
        status, _gas, _bloom, logs = fields[:4]
        entries = [(bytes(a), [bytes(t) for t in topics], bytes(data)) for a, topics, data in logs]
    except (RLPException, ValueError, TypeError, RecursionError) as error:
        raise _fail("the receipt does not decode") from error
    if raw[:1] != EIP1559 or status != b"\x01":
        raise _fail("the receipt is not that of a transaction that succeeded")
    order, lock = run.bundle.order, cast("UnitLockClaim", run.lock)
    recipient = bytes.fromhex(order.recipient[2:])
    topics = [
        contract_abi("MintController").topic("Minted"),
        order.order_id,
        order.lock_ref,
        recipient.rjust(32, b"\0"),
    ]
    minted = [data for address, found, data in entries if (address, found) == (run.controller, topics)]
    if len(minted) != 1:
        raise _fail("the receipt holds no Minted event of this order, or several")
    try:
        asset_ref, units, decision_hash = abi_decode(["bytes32", "uint256", "bytes32"], minted[0])
    except DecodingError as error:
        raise _fail("the Minted event does not decode") from error
    clearance = run.bundle.clearance.clearance
    if (asset_ref, units, decision_hash) != (lock.envelope.asset_ref, order.units, clearance.decision_hash):
        raise _fail("the Minted event names another asset, amount or decision")
    return True, f"succeeded; {units} units minted to {to_checksum_address(recipient)}"


def _block(run: _Run) -> Outcome:
    l2, header = run.bundle.l2, run.header()
    trie.verify(header[_HEADER_TRANSACTIONS], l2.transaction_index, l2.transaction, l2.transaction_proof)
    trie.verify(header[_HEADER_RECEIPTS], l2.transaction_index, l2.receipt, l2.receipt_proof)
    if keccak(l2.header) != l2.block_hash:
        raise _fail("the header is not that of the block hash")
    number = int.from_bytes(header[_HEADER_NUMBER], "big")
    return True, f"block {number} (0x{l2.block_hash.hex()}) holds the transaction and the receipt"


def _finality(run: _Run) -> Outcome:
    l2 = run.bundle.l2
    if run.options.l2_block_hash is None:
        return None, (
            "offline cannot show that this block is final on the L2, nor which compliance signers the contract allowed: "
            f"compare 0x{l2.block_hash.hex()} with a node or a source you trust (--l2-block-hash, --l2-url)"
        )
    if run.options.l2_block_hash != l2.block_hash:
        raise _fail("the mint is in another block than the one you trust")
    return True, f"block 0x{l2.block_hash.hex()}, as you trust it"


CHECKS: tuple[tuple[str, Callable[[_Run], Outcome]], ...] = (
    ("the ledger is the one you trust", _genesis),
    ("every change of the validator set was certified by the outgoing set", _rotations),
    ("quorum certificates, log proofs and field openings of the claims hold", _claims),
    ("asset, lock, telemetry and order belong together, within their units and times", _belong_together),
    ("the order is signed by the lock's issuer", _order),
    ("the clearance of this order is signed by compliance signers and was in force", _clearance),
    ("the clearance rests on this decision", _decision),
    ("the L2 transaction carries exactly this order and clearance", _transaction),
    ("the receipt says that these units were minted", _receipt),
    ("the block holds transaction and receipt", _block),
    ("the block is one you trust to be final", _finality),
)


def _fail(message: str) -> Rejected:
    return Rejected("BUNDLE", message)
