"""Headers, checkpoints, validator sets and certificates: formats against an independent encoder, and what must not verify."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.types import (
    CHECKPOINT_TAG,
    MAX_VALIDATORS,
    Checkpoint,
    QuorumCertificate,
    Validator,
    ValidatorSet,
    org_id,
)
from mainland_chain.state.block import HEADER_LENGTH, Header, decode_header

hashes = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
headers = st.builds(
    Header,
    chain_id=hashes,
    height=u64,
    time_ms=u64,
    previous_header_hash=hashes,
    tx_root=hashes,
    results_root=hashes,
    state_commitment=hashes,
    export_log_size=u64,
    export_log_root=hashes,
    epoch=u64,
    validators_hash=hashes,
    next_validators_hash=hashes,
)
checkpoints = st.builds(
    Checkpoint,
    chain_id=hashes,
    epoch=u64,
    height=u64,
    time_ms=u64,
    log_size=u64,
    log_root=hashes,
    header_hash=hashes,
    next_validators_hash=hashes,
)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(header=headers)
def test_a_header_is_read_back(header: Header) -> None:
    data = header.encode()
    assert len(data) == HEADER_LENGTH == 289
    assert decode_header(data) == header


@QUICK
@given(header=headers, data=st.data())
def test_a_header_has_one_length_one_version_and_a_hash_over_every_bit(header: Header, data: st.DataObject) -> None:
    raw = header.encode()
    for bad in (raw[:-1], raw + b"\x00", b"\x00" + raw[1:], b"\x02" + raw[1:], b""):
        with pytest.raises(Rejected) as error:
            decode_header(bad)
        assert error.value.code == "BAD_HEADER"
    at, bit = data.draw(st.integers(1, HEADER_LENGTH - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(raw)
    changed[at] ^= 1 << bit
    other = decode_header(bytes(changed))
    assert other != header
    assert other.hash() != header.hash()
    assert header.hash() == sm3(sm3(b"lianqiao.header.v1") + raw)


@QUICK
@given(header=headers)
def test_a_checkpoint_takes_from_its_header(header: Header) -> None:
    point = header.checkpoint()
    assert (point.chain_id, point.epoch, point.height, point.time_ms) == (
        header.chain_id,
        header.epoch,
        header.height,
        header.time_ms,
    )
    assert (point.log_size, point.log_root) == (header.export_log_size, header.export_log_root)
    assert (point.header_hash, point.next_validators_hash) == (header.hash(), header.next_validators_hash)


@QUICK
@given(checkpoint=checkpoints)
def test_a_checkpoint_digest_is_that_of_solidity(checkpoint: Checkpoint) -> None:
    struct = "(bytes32,uint64,uint64,uint64,uint64,bytes32,bytes32,bytes32)"
    encoded = encode([struct], [tuple(getattr(checkpoint, f.name) for f in fields(checkpoint))])
    assert len(encoded) == 256
    assert checkpoint.digest() == keccak(encoded)
    assert checkpoint.signing_message() == keccak(b"lianqiao.checkpoint.v1") + keccak(encoded)
    assert keccak(b"lianqiao.checkpoint.v1") == CHECKPOINT_TAG


POINT = Checkpoint(b"c" * 32, 0, 1, 2, 3, b"r" * 32, b"h" * 32, b"n" * 32)


@pytest.mark.parametrize("name", ["epoch", "height", "time_ms", "log_size"])
@pytest.mark.parametrize("value", [-1, 2**64])
def test_numbers_of_a_checkpoint_fit_64_bits(name: str, value: int) -> None:
    with pytest.raises(Rejected) as error:
        replace(POINT, **{name: value})
    assert (error.value.code, error.value.subject) == ("OUT_OF_RANGE", name)


@pytest.mark.parametrize("name", ["chain_id", "log_root", "header_hash", "next_validators_hash"])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_a_checkpoint_have_32_bytes(name: str, length: int) -> None:
    with pytest.raises(Rejected) as error:
        replace(POINT, **{name: b"x" * length})
    assert (error.value.code, error.value.subject) == ("BAD_LENGTH", name)


# -- validator sets ----------------------------------------------------------------------------------------------------

KEYS = [PrivateKey.generate() for _ in range(7)]


def make_set(count: int, epoch: int = 0) -> ValidatorSet:
    members = sorted((Validator(org_id(f"org-{i}"), KEYS[i].public_key) for i in range(count)), key=lambda m: m.org_id)
    return ValidatorSet(b"c" * 32, epoch, tuple(members))


def key_of(validator: Validator) -> PrivateKey:
    return next(k for k in KEYS if k.public_key == validator.public_key)


@pytest.mark.parametrize("count", range(1, 8))
def test_the_hash_of_a_set_is_that_of_solidity(count: int) -> None:
    chosen = make_set(count, epoch=count)
    members = [
        keccak(
            encode(
                ["bytes32", "uint256", "uint256"],
                [m.org_id, int.from_bytes(m.public_key[:32], "big"), int.from_bytes(m.public_key[32:], "big")],
            )
        )
        for m in chosen.members
    ]
    assert [m.member_hash() for m in chosen.members] == members
    assert chosen.hash == keccak(
        encode(
            ["bytes32", "bytes32", "uint64", "bytes32[]"],
            [keccak(b"lianqiao.validators.v1"), b"c" * 32, count, members],
        )
    )
    assert chosen.hash != replace(chosen, epoch=count + 1).hash
    assert chosen.hash != replace(chosen, chain_id=b"d" * 32).hash


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5)])
def test_a_quorum_is_more_than_two_thirds(count: int, quorum: int) -> None:
    assert make_set(count).quorum == quorum
    assert 3 * quorum > 2 * count >= 3 * (quorum - 1)


def test_sets_that_are_none() -> None:
    good = make_set(4)
    first, second, *_ = good.members
    bad = (
        (),
        (second, first),
        (first, first),
        (first, replace(second, public_key=first.public_key)),
        (replace(first, org_id=first.org_id[:31]),),
        (replace(first, public_key=b"\x01" * 64),),
        (replace(first, public_key=first.public_key[:63]),),
    )
    for members in bad:
        with pytest.raises(Rejected) as error:
            replace(good, members=members)
        assert error.value.code == "BAD_VALIDATOR_SET"
    many = tuple(Validator(i.to_bytes(32, "big"), first.public_key) for i in range(MAX_VALIDATORS + 1))
    with pytest.raises(Rejected, match="1 to 64 members"):
        replace(good, members=many)


# -- certificates ------------------------------------------------------------------------------------------------------

SET = make_set(4)
SIGNATURES = [key_of(m).sign(POINT.signing_message()) for m in SET.members]


def fails(code: str, certificate: QuorumCertificate, point: Checkpoint = POINT, chosen: ValidatorSet = SET) -> None:
    with pytest.raises(VerificationError) as error:
        verify_certificate(point, certificate, chosen)
    assert error.value.code == code


def of(*indexes: int) -> QuorumCertificate:
    return QuorumCertificate(sum(1 << i for i in indexes), tuple(SIGNATURES[i] for i in indexes))


def test_every_quorum_verifies() -> None:
    for indexes in ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3), (0, 1, 2, 3)):
        verify_certificate(POINT, of(*indexes), SET)


def test_certificates_that_are_none() -> None:
    fails("NO_QUORUM", QuorumCertificate(0, ()))
    fails("NO_QUORUM", of(0, 1))
    fails("NO_QUORUM", QuorumCertificate(0b0011, tuple(SIGNATURES)))
    fails("SIGNER_OUTSIDE_SET", QuorumCertificate(0b10111, (*SIGNATURES[:3], SIGNATURES[0])))
    fails("SIGNER_OUTSIDE_SET", QuorumCertificate(1 << 63 | 0b111, tuple(SIGNATURES)))
    fails("SIGNER_OUTSIDE_SET", QuorumCertificate(-1, tuple(SIGNATURES)))
    fails("SIGNATURE_COUNT", QuorumCertificate(0b0111, tuple(SIGNATURES[:2])))
    fails("SIGNATURE_COUNT", QuorumCertificate(0b0111, tuple(SIGNATURES)))
    fails("SIGNATURE_COUNT", QuorumCertificate(0b0111, ()))


def test_one_signature_does_not_count_twice() -> None:
    fails("BAD_SIGNATURE", QuorumCertificate(0b0111, (SIGNATURES[0],) * 3))
    fails("BAD_SIGNATURE", QuorumCertificate(0b0111, (SIGNATURES[0], SIGNATURES[1], SIGNATURES[1])))


def test_signatures_are_in_rising_order_of_their_bits() -> None:
    fails("BAD_SIGNATURE", QuorumCertificate(0b0111, (SIGNATURES[1], SIGNATURES[0], SIGNATURES[2])))
    fails("BAD_SIGNATURE", QuorumCertificate(0b1011, tuple(SIGNATURES[:3])))


@pytest.mark.parametrize("bad", [b"", bytes(64), bytes(63), b"\xff" * 64, b"\x00" * 65])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_signature_is_verified(place: int, bad: bytes) -> None:
    signatures = [*SIGNATURES[:3]]
    signatures[place] = bad
    fails("BAD_SIGNATURE", QuorumCertificate(0b0111, tuple(signatures)))


def _changed(value: bytes | int) -> bytes | int:
    return value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]


def test_a_certificate_is_for_its_checkpoint_alone() -> None:
    for f in fields(POINT):
        point = replace(POINT, **{f.name: _changed(getattr(POINT, f.name))})
        fails({"chain_id": "WRONG_CHAIN", "epoch": "WRONG_EPOCH"}.get(f.name, "BAD_SIGNATURE"), of(0, 1, 2), point)
    chosen = replace(SET, chain_id=b"d" * 32)
    fails("BAD_SIGNATURE", of(0, 1, 2), replace(POINT, chain_id=b"d" * 32), chosen)
    fails("BAD_SIGNATURE", of(0, 1, 2), replace(POINT, epoch=1), replace(SET, epoch=1))


@pytest.mark.parametrize("name", ["log_root", "header_hash", "next_validators_hash"])
def test_zero_is_never_a_root_even_when_all_sign_it(name: str) -> None:
    point = replace(POINT, **{name: bytes(32)})
    signatures = tuple(key_of(m).sign(point.signing_message()) for m in SET.members)
    fails("ZERO_ROOT", QuorumCertificate(0b1111, signatures), point)


def test_height_zero_is_never_certified() -> None:
    point = replace(POINT, height=0)
    signatures = tuple(key_of(m).sign(point.signing_message()) for m in SET.members)
    fails("ZERO_HEIGHT", QuorumCertificate(0b1111, signatures), point)


def test_members_of_another_set_do_not_certify() -> None:
    other = ValidatorSet(
        SET.chain_id, 0, tuple(replace(m, public_key=KEYS[i + 3].public_key) for i, m in enumerate(SET.members))
    )
    fails("BAD_SIGNATURE", of(0, 1, 2), chosen=other)
