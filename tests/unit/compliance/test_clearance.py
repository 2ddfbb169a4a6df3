"""EIP-712 clearances against an independent implementation, and the strict verifier."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from compliance.transfer.address import checksum_address, parse_address
from compliance.transfer.clearance import Clearance, SignedClearance, recover, verify_clearance
from compliance.transfer.gate import clearance_from_bytes, clearance_to_bytes
from compliance.transfer.signer import LocalClearanceSigner
from lianqiao_base.errors import Fatal, Rejected

CONTROLLER = bytes.fromhex("12" * 20)
CLEARANCE = Clearance(b"\x01" * 32, b"\x02" * 32, bytes.fromhex("ab" * 20), 10**30, b"\x03" * 32, 1_795_003_600)
SIGNERS = sorted((LocalClearanceSigner(bytes([i]) * 32) for i in (1, 2, 3)), key=lambda s: s.address)
ALLOWED = frozenset(signer.address for signer in SIGNERS)
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def sign(*signers: LocalClearanceSigner, clearance: Clearance = CLEARANCE, chain: int = 31337) -> SignedClearance:
    digest = clearance.digest(chain, CONTROLLER)
    return SignedClearance(clearance, tuple(signer.sign_digest(digest) for signer in signers))


def check(signed: SignedClearance, **changes: Any) -> tuple[bytes, ...]:
    arguments: dict[str, Any] = {"chain_id": 31337, "controller": CONTROLLER, "allowed": ALLOWED, "threshold": 2}
    return verify_clearance(signed, **{**arguments, **changes})


def typed_data(clearance: Clearance) -> dict[str, Any]:
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Clearance": [
                {"name": "orderId", "type": "bytes32"},
                {"name": "lockRef", "type": "bytes32"},
                {"name": "recipient", "type": "address"},
                {"name": "units", "type": "uint256"},
                {"name": "decisionHash", "type": "bytes32"},
                {"name": "expiry", "type": "uint64"},
            ],
        },
        "primaryType": "Clearance",
        "domain": {
            "name": "Lianqiao MintController",
            "version": "1",
            "chainId": 31337,
            "verifyingContract": "0x" + CONTROLLER.hex(),
        },
        "message": {
            "orderId": clearance.order_id,
            "lockRef": clearance.lock_ref,
            "recipient": "0x" + clearance.recipient.hex(),
            "units": clearance.units,
            "decisionHash": clearance.decision_hash,
            "expiry": clearance.expiry,
        },
    }


def test_digest_and_signature_agree_with_eth_account() -> None:
    message = encode_typed_data(full_message=typed_data(CLEARANCE))
    signed = Account.sign_message(message, bytes([1]) * 32)
    assert bytes(signed.message_hash) == CLEARANCE.digest(31337, CONTROLLER)
    ours = LocalClearanceSigner(bytes([1]) * 32)
    assert recover(CLEARANCE.digest(31337, CONTROLLER), bytes(signed.signature)) == ours.address
    assert Account.recover_message(message, signature=ours.sign_digest(bytes(signed.message_hash))) == checksum_address(
        ours.address
    )


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Clearance)])
def test_every_field_is_signed(field: str) -> None:
    value = getattr(CLEARANCE, field)
    other = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    changed = dataclasses.replace(CLEARANCE, **{field: other})
    assert changed.digest(31337, CONTROLLER) != CLEARANCE.digest(31337, CONTROLLER)
    with pytest.raises(Rejected, match="CLEARANCE_SIGNER"):
        check(SignedClearance(changed, sign(*SIGNERS).signatures))


def test_enough_allowed_signers_pass() -> None:
    assert check(sign(*SIGNERS)) == tuple(signer.address for signer in SIGNERS)
    assert check(sign(SIGNERS[0], SIGNERS[2])) == (SIGNERS[0].address, SIGNERS[2].address)


@pytest.mark.parametrize("changes", [{"chain_id": 1}, {"controller": b"\x13" * 20}])
def test_bound_to_chain_and_contract(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="CLEARANCE_SIGNER"):
        check(sign(*SIGNERS), **changes)


@pytest.mark.parametrize(
    ("signed", "code"),
    [
        (sign(SIGNERS[0]), "CLEARANCE_THRESHOLD"),
        (sign(), "CLEARANCE_THRESHOLD"),
        (sign(SIGNERS[0], SIGNERS[0]), "CLEARANCE_SIGNER_ORDER"),
        (sign(SIGNERS[1], SIGNERS[0]), "CLEARANCE_SIGNER_ORDER"),
    ],
)
def test_too_few_doubled_or_unsorted(signed: SignedClearance, code: str) -> None:
    with pytest.raises(Rejected, match=code):
        check(signed)


def test_strangers_do_not_count() -> None:
    stranger = LocalClearanceSigner(b"\x09" * 32)
    everybody = sorted((*SIGNERS, stranger), key=lambda signer: signer.address)
    with pytest.raises(Rejected, match="CLEARANCE_SIGNER_UNKNOWN"):
        check(sign(*everybody))


@pytest.mark.parametrize(("threshold", "allowed"), [(0, ALLOWED), (-1, ALLOWED), (4, ALLOWED), (1, frozenset())])
def test_a_threshold_that_is_none(threshold: int, allowed: frozenset[bytes]) -> None:
    with pytest.raises(Rejected, match="CLEARANCE_THRESHOLD"):
        check(sign(*SIGNERS), threshold=threshold, allowed=allowed)


def test_expiry_when_a_time_is_given() -> None:
    assert check(sign(*SIGNERS), now_s=CLEARANCE.expiry)
    with pytest.raises(Rejected, match="CLEARANCE_EXPIRED"):
        check(sign(*SIGNERS), now_s=CLEARANCE.expiry + 1)


def test_malleable_and_malformed_signatures() -> None:
    digest = CLEARANCE.digest(31337, CONTROLLER)
    good = SIGNERS[0].sign_digest(digest)
    assert recover(digest, good) == SIGNERS[0].address
    high_s = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    twin = good[:32] + high_s + bytes([55 - good[64]])
    zero_r = bytes(32) + good[32:]
    zero_s = good[:32] + bytes(32) + good[64:]
    for bad in (twin, good[:64], good + b"\x00", good[:64] + b"\x00", good[:64] + b"\x1d", zero_r, zero_s, b""):
        with pytest.raises(Rejected, match="CLEARANCE_SIGNATURE"):
            recover(digest, bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": b"\x01" * 31},
        {"lock_ref": b""},
        {"decision_hash": b"\x01" * 33},
        {"recipient": b"\x01" * 32},
        {"units": 0},
        {"units": 2**256},
        {"expiry": 0},
        {"expiry": 2**64},
    ],
)
def test_malformed_clearances(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="CLEARANCE_INVALID"):
        dataclasses.replace(CLEARANCE, **changes)


def test_domain_is_checked() -> None:
    for chain, controller in ((0, CONTROLLER), (1, b"")):
        with pytest.raises(Rejected, match="CLEARANCE_INVALID"):
            CLEARANCE.digest(chain, controller)


def test_bytes_round_trip() -> None:
    signed = sign(*SIGNERS)
    body = clearance_to_bytes(signed)
    assert clearance_from_bytes(body) == signed
    for bad in (b"{}", body[:-1], body.replace(b'"units":"1', b'"units":"x'), b"[]"):
        with pytest.raises(Rejected, match="CLEARANCE_INVALID"):
            clearance_from_bytes(bad)


def test_keystore(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(bytes([1]) * 32, "secret", kdf="pbkdf2", iterations=1000)))
    assert LocalClearanceSigner.from_keystore(path, "secret").address == LocalClearanceSigner(bytes([1]) * 32).address
    with pytest.raises(Fatal, match="CLEARANCE_KEY") as caught:
        LocalClearanceSigner.from_keystore(path, "wrong")
    assert "wrong" not in str(caught.value)
    with pytest.raises(Fatal, match="CLEARANCE_KEY"):
        LocalClearanceSigner.from_keystore(tmp_path / "none.json", "secret")
    for key in (bytes(32), b"\xff" * 32, b"short"):
        with pytest.raises(Fatal, match="CLEARANCE_KEY"):
            LocalClearanceSigner(key)


def test_addresses() -> None:
    # EIP-55's own examples.
    for text in ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"):
        assert checksum_address(parse_address(text)) == text
        assert parse_address(text.lower()) == parse_address("0x" + text[2:].upper()) == parse_address(text)
        with pytest.raises(Rejected, match="BAD_ADDRESS"):
            parse_address("0x" + text[2:].swapcase())
    for bad in (
        "",
        "0x",
        "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "0x" + "g" * 40,
        "0x" + "a" * 41,
        "0X" + "a" * 40,
    ):
        with pytest.raises(Rejected, match="BAD_ADDRESS"):
            parse_address(bad)
