"""Execution of one block: committed state and ordered transactions in, everything to be written out. Deterministic and pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lianqiao_base import canonical
from mainland_chain.crypto.sm3 import sm3, tag
from mainland_chain.light.claims import leaf_hash
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import ValidatorSet
from mainland_chain.log.hashing import SM3
from mainland_chain.log.tree import CompactRange, merkle_root
from mainland_chain.state.apply import Effects, apply_transaction
from mainland_chain.state.block import (
    BlockCommit,
    Head,
    Header,
    LoggedClaim,
    LogNode,
    StoredRecord,
    TransactionResult,
)
from mainland_chain.state.entities import Member, Organisation, Role
from mainland_chain.state.exporting import BlockPoint
from mainland_chain.state.governance import add_member
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.transactions import ParsedTransaction
from mainland_chain.state.view import Overlay, StateReader

MAX_EXPLANATION = 1000


@dataclass(frozen=True, slots=True)
class Executed:
    """A block's writes and the export log's frontier after it."""

    block: BlockCommit
    frontier: CompactRange


def genesis_overlay(base: StateReader, genesis: Genesis) -> Overlay:
    """The state that the genesis document gives; written with block 1."""
    overlay = Overlay(base)
    organisations = {
        o.organisation_id: Organisation(o.organisation_id, o.name, Role[o.role.upper()]) for o in genesis.organisations
    }
    for m in genesis.members:
        member = Member(
            m.member_id,
            m.organisation_id,
            Role[m.role.upper()],
            m.qualification_reference,
            m.public_key,
            m.tls_fingerprint,
        )
        add_member(overlay, member, organisations[m.organisation_id])
    return overlay


def initial_commitment(chain_id: bytes) -> bytes:
    """State commitment before the first block."""
    return sm3(tag("lianqiao.state.v1") + chain_id)


def next_commitment(previous: bytes, writes: Sequence[tuple[str, bytes | None]]) -> bytes:
    """`SM3(tag ‖ previous ‖ SM3(canonical JSON of [[key, value hex or null], ...]))`."""
    listed = canonical.dumps([[key, None if value is None else value.hex()] for key, value in writes])
    return sm3(tag("lianqiao.state.v1") + previous + sm3(listed))


def result_leaf(result: TransactionResult) -> bytes:
    """`tx_hash ‖ u16 code ‖ record_root (or zeros)`."""
    return result.tx_hash + Refusal[result.code].to_bytes(2, "big") + (result.record_root or bytes(32))


def execute_block(
    reader: StateReader,
    head: Head | None,
    frontier: CompactRange,
    validators: ValidatorSet,
    point: BlockPoint,
    transactions: Sequence[ParsedTransaction],
    verify: Callable[[ParsedTransaction, StateReader], None],
    initial: Overlay | None = None,
) -> Executed:
    """Execute `transactions` in order at `point`. A refused one writes nothing but its result.

    `verify` checks a transaction's signatures under the keys of the state at its place (a caller may remember what it verified);
    `initial` holds the genesis writes.
    """
    overlay = Overlay(reader)
    if initial is not None:
        overlay.merge(initial)
    results: list[TransactionResult] = []
    records: list[StoredRecord] = []
    claims: list[LoggedClaim] = []
    for tx in transactions:
        place = BlockPoint(point.chain_id, point.height, point.time_ms, frontier.size + len(claims))
        try:
            verify(tx, overlay)
            effects = apply_transaction(overlay, tx, place)
        except TransactionRefused as refusal:
            results.append(TransactionResult(tx.tx_hash, refusal.code, _explanation(refusal)))
            continue
        overlay.merge(effects.overlay)
        results.append(_accept(tx, effects, place, records, claims))
    grown, nodes = frontier.extend(c.leaf for c in claims)
    leaves = tuple(result_leaf(r) for r in results)
    writes = tuple(sorted(overlay.writes.items()))
    header = Header(
        chain_id=point.chain_id,
        height=point.height,
        time_ms=point.time_ms,
        previous_header_hash=head.header_hash if head else point.chain_id,
        tx_root=merkle_root(SM3, [SM3.leaf(tx.raw) for tx in transactions]),
        results_root=merkle_root(SM3, [SM3.leaf(leaf) for leaf in leaves]),
        state_commitment=next_commitment(
            head.header.state_commitment if head else initial_commitment(point.chain_id), writes
        ),
        export_log_size=grown.size,
        export_log_root=grown.root(),
        epoch=validators.epoch,
        validators_hash=validators.hash,
        next_validators_hash=validators.hash,
    )
    block = BlockCommit(
        header=header,
        header_hash=header.hash(),
        transactions=tuple(tx.raw for tx in transactions),
        results=tuple(results),
        result_leaves=leaves,
        writes=writes,
        records=tuple(records),
        claims=tuple(claims),
        log_nodes=tuple(LogNode(n.level, n.index, n.hash) for n in nodes),
    )
    return Executed(block, grown)


def _explanation(refusal: TransactionRefused) -> str:
    """Its text, which may quote the transaction: kept short, and without what a database or a terminal chokes on."""
    text = str(refusal)[:MAX_EXPLANATION]
    return "".join(c if c.isprintable() else "?" for c in text)


def _accept(
    tx: ParsedTransaction,
    effects: Effects,
    place: BlockPoint,
    records: list[StoredRecord],
    claims: list[LoggedClaim],
) -> TransactionResult:
    log_index = None
    if effects.claim is not None:
        log_index = place.log_index
        claims.append(LoggedClaim(log_index, effects.claim, leaf_hash(effects.claim), tx.tx_hash, effects.record_ids))
    if effects.record is not None:
        records.append(effects.record)
    return TransactionResult(
        tx.tx_hash,
        Refusal.OK.name,
        record_id=effects.record.record_id if effects.record else b"",
        record_root=effects.record.root if effects.record else b"",
        log_index=log_index,
        flagged=effects.flagged,
    )
