"""Claims as ABI structs: one encoding each, the same as an independent encoder's; everything else is refused quickly."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from lianqiao_base.errors import Rejected
from mainland_chain.light.claims import (
    CLAIM_TYPES,
    MAX_CLAIM_BYTES,
    AssetClaim,
    Claim,
    ClaimEnvelope,
    ExportedField,
    TelemetryClaim,
    Transform,
    UnitLockClaim,
    decode_claim,
    destination_id,
    encode_claim,
)

QUICK = settings(max_examples=80, deadline=None)
b32 = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
text = st.text(st.characters(codec="utf-8"), max_size=40)
field_sets = st.lists(
    st.builds(ExportedField, text, st.sampled_from(Transform), text), max_size=5, unique_by=lambda f: f.name
).map(lambda items: tuple(sorted(items, key=lambda f: f.name)))


def envelopes(kind: type) -> st.SearchStrategy[ClaimEnvelope]:
    return st.builds(ClaimEnvelope, st.just(CLAIM_TYPES[kind]), b32, b32, b32, u64, b32, b32, u64, u64)


claims = st.one_of(
    st.builds(AssetClaim, envelopes(AssetClaim), b32, u64, field_sets),
    st.builds(TelemetryClaim, envelopes(TelemetryClaim), u64, u64, u64, u64, u64, u64, field_sets),
    st.builds(
        UnitLockClaim,
        envelopes(UnitLockClaim),
        b32,
        u64,
        st.binary(min_size=20, max_size=20),
        text,
        u64,
        u64,
        field_sets,
    ),
)


def refused(data: bytes) -> None:
    with pytest.raises(Rejected) as error:
        decode_claim(data)
    assert error.value.code == "BAD_CLAIM"


@QUICK
@given(claim=claims)
def test_a_claim_is_read_back(claim: Claim) -> None:
    assert decode_claim(encode_claim(claim)) == claim


def _words(*values: int | bytes) -> bytes:
    return b"".join(v.to_bytes(32, "big") if isinstance(v, int) else v.rjust(32, b"\x00") for v in values)


def _string(value: str) -> bytes:
    raw = value.encode()
    return _words(len(raw)) + raw + bytes(-len(raw) % 32)


def by_hand(claim: Claim) -> bytes:
    """The ABI specification, written out: heads, then tails at offsets from the start of their tuple."""
    e = claim.envelope
    head = [e.claim_type, e.chain_id, e.destination, e.asset_ref, e.policy_version, e.decision_hash, e.evidence_root]
    head += [e.height, e.time_ms]
    items = []
    for f in claim.fields:
        name = _string(f.name)
        items.append(_words(96, int(f.transform), 96 + len(name)) + name + _string(f.value))
    offsets, at = [], 32 * len(items)
    for item in items:
        offsets.append(at)
        at += len(item)
    array = _words(len(items), *offsets) + b"".join(items)
    if isinstance(claim, AssetClaim):
        rest: list[int | bytes] = [claim.profile, claim.unit_count]
        tails: dict[int, bytes] = {2: array}
    elif isinstance(claim, TelemetryClaim):
        rest = [claim.interval_start_ms, claim.interval_end_ms, claim.energy_wh, claim.cumulative_energy_wh]
        rest += [claim.reading_count, claim.flagged_count]
        tails = {6: array}
    else:
        rest = [claim.lock_ref, claim.units, claim.issuer, 0, claim.approval_expiry_ms, claim.expiry_ms]
        tails = {3: _string(claim.filing_reference), 6: array}
    rest.append(0)
    at = 32 * (len(head) + len(rest))
    for index, tail in tails.items():
        rest[index] = at
        at += len(tail)
    return _words(32, *head, *rest) + b"".join(tails.values())


@QUICK
@given(claim=claims)
def test_the_encoding_is_that_of_the_abi_specification(claim: Claim) -> None:
    assert encode_claim(claim) == by_hand(claim)


@QUICK
@given(claim=claims, data=st.data())
def test_no_other_bytes_decode_to_the_same_claim(claim: Claim, data: st.DataObject) -> None:
    raw = encode_claim(claim)
    for bad in (raw + bytes(32), raw + b"\x00", raw[:-1], raw[:-32], raw[32:], bytes(32) + raw):
        refused(bad)
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_claim(bytes(changed))
    except Rejected as error:
        assert error.code == "BAD_CLAIM"
    else:
        assert other != claim
        assert encode_claim(other) == bytes(changed)


@QUICK
@given(data=st.binary(max_size=700), kind=st.sampled_from(sorted(CLAIM_TYPES.values())), headed=st.booleans())
def test_junk_is_refused(data: bytes, kind: bytes, headed: bool) -> None:
    refused(_words(32) + kind + data if headed else data)


ENVELOPE = ClaimEnvelope(CLAIM_TYPES[AssetClaim], b"c" * 32, b"d" * 32, b"a" * 32, 1, b"h" * 32, b"e" * 32, 5, 6)
FIELDS = (ExportedField("a", Transform.KEEP, "1"), ExportedField("b", Transform.ROUND, "2"))
ASSET = AssetClaim(ENVELOPE, b"p" * 32, 7, FIELDS)
STRUCT = (
    "((bytes32,bytes32,bytes32,bytes32,uint64,bytes32,bytes32,uint64,uint64),bytes32,uint64,(string,uint8,string)[])"
)


def _loose(fields: list[tuple[str, int, str]]) -> bytes:
    values = decode([STRUCT], encode_claim(ASSET))[0]
    return bytes(encode([STRUCT], [(*values[:3], fields)]))


def test_fields_are_sorted_distinct_and_of_known_transforms() -> None:
    assert decode_claim(_loose([("a", 1, "1"), ("b", 2, "2")])) == ASSET
    refused(_loose([("b", 2, "2"), ("a", 1, "1")]))
    refused(_loose([("a", 1, "1"), ("a", 1, "1")]))
    refused(_loose([("a", 0, "1")]))
    refused(_loose([("a", 10, "1")]))
    for fields in (FIELDS[::-1], (FIELDS[0], FIELDS[0])):
        with pytest.raises(Rejected):
            encode_claim(replace(ASSET, fields=fields))


def test_dirty_and_shared_encodings() -> None:
    raw = encode_claim(ASSET)
    word = 32 + 32 * 9  # the profile
    above = 32 * 11 + 23  # the lowest byte above the 64 bits of unit_count
    refused(raw[:above] + b"\x01" + raw[above + 1 :])
    refused(raw[:-1] + b"\x01")  # padding of a string
    array = raw.index(_words(2) + _words(64))
    first, second = raw[array + 32 : array + 64], raw[array + 64 : array + 96]
    refused(raw[: array + 32] + second + first + raw[array + 96 :])
    refused(raw[: array + 32] + first + first + raw[array + 96 :])
    assert raw[word : word + 32] == b"p" * 32
    refused(_words(64) + raw[:32] + raw[32:])
    refused(_words(32) + CLAIM_TYPES[TelemetryClaim] + raw[64:])
    refused(_words(32) + bytes(32) + raw[64:])
    refused(raw.replace(b"\x00" * 31 + b"\x01" + b"a", b"\x00" * 31 + b"\x01" + b"\xff"))


def test_values_that_fit_no_type() -> None:
    lock = UnitLockClaim(
        replace(ENVELOPE, claim_type=CLAIM_TYPES[UnitLockClaim]), b"l" * 32, 1, b"i" * 20, "F", 1, 2, ()
    )
    encode_claim(lock)
    bad: list[Claim] = [
        replace(ASSET, unit_count=2**64),
        replace(ASSET, unit_count=-1),
        replace(ASSET, profile=b"p" * 33),
        replace(ASSET, envelope=replace(ENVELOPE, claim_type=CLAIM_TYPES[TelemetryClaim])),
        replace(ASSET, envelope=replace(ENVELOPE, height=2**64)),
        replace(ASSET, fields=(ExportedField("\ud800", Transform.KEEP, ""),)),
        replace(lock, issuer=b"i" * 19),
        replace(lock, filing_reference="\ud800"),
    ]
    for claim in bad:
        with pytest.raises(Rejected) as error:
            encode_claim(claim)
        assert error.value.code == "BAD_CLAIM"


def test_a_claim_has_a_largest_size() -> None:
    def long(n: int) -> bytes:
        return encode_claim(replace(ASSET, fields=(ExportedField("a", Transform.KEEP, "x" * n),)))

    room = (MAX_CLAIM_BYTES - len(long(0))) // 32 * 32
    assert len(long(room)) == MAX_CLAIM_BYTES
    decode_claim(long(room))
    refused(long(room + 1))


def test_a_short_hash_is_not_padded() -> None:
    for claim in (replace(ASSET, profile=b"p" * 31), replace(ASSET, envelope=replace(ENVELOPE, chain_id=b"c"))):
        with pytest.raises(Rejected):
            encode_claim(claim)


@pytest.mark.parametrize("count", [2**255, 2**64, 10**6, 600])
def test_bombs_are_refused_at_once(count: int) -> None:
    """An array that says it is longer than the bytes, and one whose offsets all point at one long string."""
    raw = encode_claim(ASSET)
    array = raw.index(_words(2) + _words(64))
    began = time.perf_counter()
    refused(raw[:array] + _words(count) + raw[array + 32 :])
    offsets = min(count, 400)
    refused(raw[:array] + _words(offsets) + _words(*[32 * offsets] * offsets) + _words(96, 1, 96, 2000) + b"x" * 2016)
    refused(raw + bytes(MAX_CLAIM_BYTES))
    assert time.perf_counter() - began < 1


def test_destinations_are_those_of_solidity() -> None:
    assert destination_id(31337, b"\x11" * 20) == keccak(encode(["uint256", "address"], [31337, b"\x11" * 20]))
    for bad in (b"", b"\x11" * 19, b"\x11" * 21):
        with pytest.raises(Rejected):
            destination_id(1, bad)
