"""Exports: every transform, claims against a naive recomputation, nothing counted twice, pseudonyms that do not link."""

from __future__ import annotations

import hmac
from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.export.claims import ClaimContext, asset_claim, asset_ref, lock_ref, telemetry_claim
from mainland_chain.export.policy import ExportDestination, FieldRule
from mainland_chain.export.transforms import aggregate, as_text, pseudonym, transform_value
from mainland_chain.light.claims import (
    CLAIM_TYPES,
    AssetClaim,
    ExportedField,
    TelemetryClaim,
    Transform,
    UnitLockClaim,
    decode_claim,
    destination_id,
    leaf_hash,
)
from mainland_chain.log.hashing import SM3
from mainland_chain.log.tree import merkle_root
from mainland_chain.records.reading import Reading, telemetry_record
from mainland_chain.records.record import Record, make_record
from mainland_chain.state.block import BlockCommit
from mainland_chain.state.entities import SigningMode
from tests.support.busy import Busy
from tests.support.world import CONTROLLER, DAY, DESTINATION, ISSUER, L2_CHAIN_ID, NOW, QUARTER, RULES, World

QUICK = settings(max_examples=60, deadline=None)
KEY = b"p" * 32
SEED = b"s" * 32


def hmac_sm3(key: bytes, message: bytes) -> bytes:
    """RFC 2104, written out."""
    block = key.ljust(64, b"\x00")
    inner = sm3(bytes(b ^ 0x36 for b in block) + message)
    return sm3(bytes(b ^ 0x5C for b in block) + inner)


def rejected(code: str) -> pytest.RaisesExc[Rejected]:
    return pytest.raises(Rejected, check=lambda e: e.code == code)


def claim_of(block: BlockCommit) -> AssetClaim | TelemetryClaim | UnitLockClaim:
    (result,), (entry,) = block.results, block.claims
    assert result.ok
    assert result.log_index == entry.index
    return decode_claim(entry.claim)


# -- transforms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "transform", "parameter", "value", "text"),
    [
        ("capacity_w", Transform.KEEP, 0, 0, "0"),
        ("capacity_w", Transform.KEEP, 0, -5, "-5"),
        ("plant_name", Transform.KEEP, 0, "清河", "清河"),
        ("capacity_w", Transform.ROUND, 100, 0, "0"),
        ("capacity_w", Transform.ROUND, 100, 99, "0"),
        ("capacity_w", Transform.ROUND, 100, 100, "100"),
        ("capacity_w", Transform.ROUND, 100, 199, "100"),
        ("capacity_w", Transform.ROUND, 1, 7, "7"),
        ("capacity_w", Transform.ROUND, 2**40, 7, "0"),
        ("commissioning_date", Transform.ROUND, 0, "2019-06-30", "2019"),
        ("capacity_w", Transform.BUCKET, 100, 0, "0-99"),
        ("capacity_w", Transform.BUCKET, 100, 99, "0-99"),
        ("capacity_w", Transform.BUCKET, 100, 100, "100-199"),
        ("capacity_w", Transform.BUCKET, 1, 5, "5-5"),
        ("division_code", Transform.REGION, 0, "440305", "44"),
    ],
)
def test_transforms(field: str, transform: Transform, parameter: int, value: int | str, text: str) -> None:
    assert transform_value(FieldRule("asset", field, transform, parameter), value, KEY) == text


@pytest.mark.parametrize("value", [408_000, "清河", b"\x01\x02"])
def test_a_pseudonym_is_a_keyed_name_of_field_and_value(value: int | str | bytes) -> None:
    rule = FieldRule("asset", "plant_name", Transform.PSEUDONYM, 0)
    text = transform_value(rule, value, KEY)
    assert text == hmac_sm3(KEY, b"asset.plant_name\x00" + as_text(value).encode()).hex()
    assert text != transform_value(rule, value, b"q" * 32)
    assert text != transform_value(replace(rule, field="legal_owner"), value, KEY)


def test_transforms_that_do_not_apply() -> None:
    for transform in (Transform.SUM, Transform.COUNT, Transform.MIN, Transform.MAX):
        with rejected("FIELD_NOT_ALLOWED"):
            transform_value(FieldRule("asset", "capacity_w", transform, 0), 5, KEY)
    for transform in (Transform.ROUND, Transform.BUCKET):
        with rejected("FIELD_NOT_ALLOWED"):
            transform_value(FieldRule("asset", "plant_name", transform, 10), "text", KEY)
    for transform in (Transform.KEEP, Transform.ROUND, Transform.REGION, Transform.PSEUDONYM):
        with rejected("FIELD_NOT_ALLOWED"):
            aggregate(FieldRule("telemetry", "power_w", transform, 0), [1])
    with rejected("FIELD_NOT_ALLOWED"):
        aggregate(FieldRule("telemetry", "power_w", Transform.SUM, 0), [])


@QUICK
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
def test_aggregates(values: list[int]) -> None:
    total, low, high = 0, values[0], values[0]
    for v in values:
        total, low, high = total + v, v if v < low else low, v if v > high else high
    for transform, expected in (
        (Transform.SUM, total),
        (Transform.COUNT, len(values)),
        (Transform.MIN, low),
        (Transform.MAX, high),
    ):
        assert aggregate(FieldRule("telemetry", "power_w", transform, 0), values) == expected


@QUICK
@given(value=st.integers(0, 2**60), width=st.integers(1, 2**50))
def test_a_bucket_and_a_rounded_value_say_no_more_than_the_width(value: int, width: int) -> None:
    low, high = transform_value(FieldRule("asset", "capacity_w", Transform.BUCKET, width), value, KEY).split("-")
    rounded = int(transform_value(FieldRule("asset", "capacity_w", Transform.ROUND, width), value, KEY))
    assert int(low) <= value <= int(high) == int(low) + width - 1
    assert int(low) == rounded == (value // width) * width


# -- claims against a naive recomputation -----------------------------------------------------------------------------


def context(world: World, rules: tuple[FieldRule, ...] = RULES) -> ClaimContext:
    policy = world.policy(rules=rules)
    return ClaimContext(b"c" * 32, policy, policy.destinations[0], b"d" * 32, NOW + DAY, 7, NOW)


WORLD = World()
readings = st.builds(
    Reading,
    sequence=st.integers(1, 10**6),
    time_ms=st.integers(1, 10**13),
    energy_wh=st.integers(0, 10**9),
    power_w=st.integers(-(10**6), 10**9),
    irradiance_w_m2=st.integers(0, 2000),
    flags=st.integers(0, 3),
)


@QUICK
@given(
    batches=st.lists(st.lists(readings, min_size=2, max_size=8), min_size=1, max_size=4),
    starts=st.lists(st.integers(0, 10**13), min_size=4, max_size=4),
    before=st.integers(0, 2**50),
    flagged=st.integers(0, 40),
)
def test_a_telemetry_claim_is_the_sum_of_its_readings(
    batches: list[list[Reading]], starts: list[int], before: int, flagged: int
) -> None:
    records = [
        telemetry_record(bytes([i]) * 32, "plant-001", f"inv-{i}", starts[i], b, [r.encode() for r in b])
        for i, b in enumerate(batches)
    ]
    claim = telemetry_claim(context(WORLD), records, ("energy_wh", "power_w"), before, flagged)
    energy = 0
    power: list[int] = []
    for batch in batches:
        for reading in batch:
            energy += reading.energy_wh
            power.append(reading.power_w)
    assert (claim.energy_wh, claim.cumulative_energy_wh) == (energy, before + energy)
    assert (claim.reading_count, claim.flagged_count) == (len(power), flagged)
    assert claim.interval_start_ms == sorted(starts[: len(batches)])[0]
    assert claim.interval_end_ms == sorted(b[-1].time_ms for b in batches)[-1]
    assert claim.fields == (
        ExportedField("energy_wh", Transform.SUM, str(energy)),
        ExportedField("power_w", Transform.MAX, str(sorted(power)[-1])),
    )
    assert claim.envelope.evidence_root == merkle_root(SM3, [r.root for r in records])
    assert claim.envelope.asset_ref == hmac_sm3(KEY, b"asset\x00plant-001")


def asset_record(**changes: object) -> Record:
    values: dict[str, int | str | bytes] = {
        "asset_id": "plant-001",
        "capacity_w": 408_000,
        "commissioning_date": "2019-06-30",
        "division_code": "440305",
        "legal_owner": "清河",
        "plant_name": "一期",
        "profile": "pv_revenue_right",
        "unit_count": 1_000_000,
    }
    return make_record("asset", SEED, {**values, **changes})  # type: ignore[dict-item]


@QUICK
@given(capacity=st.integers(1, 10**11), units=st.integers(1, 10**12))
def test_an_asset_claim_shows_what_the_policy_says(capacity: int, units: int) -> None:
    record = asset_record(capacity_w=capacity, unit_count=units)
    claim = asset_claim(context(WORLD), record, ("capacity_w", "commissioning_date", "division_code", "legal_owner"))
    low = capacity // 100_000 * 100_000
    assert [(f.name, f.value) for f in claim.fields] == [
        ("capacity_w", f"{low}-{low + 99_999}"),
        ("commissioning_date", "2019"),
        ("division_code", "44"),
        ("legal_owner", hmac_sm3(KEY, "asset.legal_owner\x00清河".encode()).hex()),
    ]
    assert (claim.unit_count, claim.profile) == (units, keccak(b"pv_revenue_right"))
    assert claim.envelope.evidence_root == record.root


def test_a_field_that_no_rule_names_is_dropped_and_cannot_be_asked_for() -> None:
    rules = tuple(r for r in RULES if r.field != "capacity_w")
    assert asset_claim(context(WORLD, rules), asset_record(), ()).fields == ()
    for name in ("capacity_w", "plant_name", "contact_name", "nothing"):
        with rejected("FIELD_NOT_ALLOWED"):
            asset_claim(context(WORLD, rules), asset_record(), (name,))


# -- through the ledger ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


def test_the_envelope_says_where_the_claim_is_from(busy: Busy) -> None:
    world = busy.fork()
    block = world.block(world.export(world.decision("TelemetryClaim", world.ids["batch-2"])))
    claim = claim_of(block)
    e = claim.envelope
    assert (e.claim_type, e.chain_id) == (keccak(b"lianqiao.claim.TelemetryClaim.v1"), world.chain_id)
    assert e.destination == keccak(encode(["uint256", "address"], [L2_CHAIN_ID, CONTROLLER])) == DESTINATION
    assert e.asset_ref == hmac_sm3(KEY, b"asset\x00plant-001")
    assert (e.policy_version, e.decision_hash) == (1, b"d" * 32)
    assert (e.height, e.time_ms) == (block.header.height, block.header.time_ms)
    assert block.claims[0].leaf == keccak(b"\x00" + block.claims[0].claim) == leaf_hash(block.claims[0].claim)
    assert block.claims[0].record_ids == (world.ids["batch-2"],)


def test_a_lock_claim_shows_the_lock(busy: Busy) -> None:
    world = busy.fork()
    decision = world.decision("UnitLockClaim", world.ids["lock-2"])
    claim = claim_of(world.block(world.export(decision)))
    assert isinstance(claim, UnitLockClaim)
    assert claim.envelope.claim_type == CLAIM_TYPES[UnitLockClaim]
    assert claim.lock_ref == hmac_sm3(KEY, b"lock\x00lock-002")
    assert (claim.units, claim.issuer, claim.filing_reference) == (5000, ISSUER, "CSRC-2026-0001")
    assert (claim.approval_expiry_ms, claim.expiry_ms) == (decision.approval_valid_until_ms, NOW + DAY)
    assert b"lock-002" not in world.store.blocks[-1].claims[0].claim
    assert b"plant-001" not in world.store.blocks[-1].claims[0].claim


def test_devices_of_one_plant_are_summed_and_time_is_counted_once_per_device(busy: Busy) -> None:
    world = busy.fork()
    key = PrivateKey.generate()
    world.ok(world.device_of("org-a", "plant-001", "inverter-2", key, SigningMode.BATCH))
    start = NOW - 2 * DAY + 4 * QUARTER
    other = [Reading(i, start + i * QUARTER, 100 * i, 400, 5, 1) for i in (1, 2)]
    second = world.ok(world.telemetry(other, device_id="inverter-2", device_key=key)).record_id
    claim = claim_of(world.block(world.export(world.decision("TelemetryClaim", world.ids["batch-2"], second))))
    assert isinstance(claim, TelemetryClaim)
    mine = [1000 + 5 + i for i in range(4)]
    assert claim.energy_wh == sum(mine) + 300
    assert claim.cumulative_energy_wh == sum(1001 + i for i in range(4)) + claim.energy_wh
    assert (claim.reading_count, claim.flagged_count) == (6, 2)
    assert claim.interval_start_ms == start
    assert claim.interval_end_ms == start + 4 * QUARTER
    # What was left out of an interval that is exported is never counted later, and nothing twice.
    late = [Reading(3, start + 3 * QUARTER, 100, 400, 5, 0)]
    third = world.ok(world.telemetry(late, device_id="inverter-2", device_key=key)).record_id
    for ids in ((third,), (second,), (world.ids["batch-2"],)):
        assert world.run(world.export(world.decision("TelemetryClaim", *ids))).code == "INTERVAL_NOT_NEXT"


def test_time_to_come_is_not_exported(busy: Busy) -> None:
    """No verifier takes such a claim, and every later one would miss its energy: the asset could never be proven fresh again."""
    world = busy.fork()
    ahead = Reading(10, world.now_ms + 120_000, 100, 400, 5, 0)
    before = ahead._replace(sequence=9, time_ms=ahead.time_ms - 1000)
    record = world.ok(world.telemetry([before, ahead])).record_id
    decision = world.decision("TelemetryClaim", record)
    assert world.run(world.export(decision)).code == "TIME_IN_FUTURE"
    world.now_ms = ahead.time_ms - 201
    assert world.run(world.export(decision)).code == "TIME_IN_FUTURE"
    world.now_ms = ahead.time_ms - 200
    claim = claim_of(world.block(world.export(decision)))
    assert isinstance(claim, TelemetryClaim)
    assert claim.interval_end_ms == claim.envelope.time_ms == ahead.time_ms


def test_overlapping_batches_of_one_device_cannot_be_made(busy: Busy) -> None:
    """Two claims in one block: the second sees what the first did."""
    world = busy.fork()
    decision = world.decision("TelemetryClaim", world.ids["batch-2"])
    block = world.block(world.export(decision), world.export(decision))
    assert [r.code for r in block.results] == ["OK", "INTERVAL_NOT_NEXT"]
    lock = world.decision("UnitLockClaim", world.ids["lock-2"])
    block = world.block(world.export(lock), world.export(lock))
    assert [r.code for r in block.results] == ["OK", "ALREADY_EXPORTED"]
    assert [r.log_index for r in block.results] == [block.header.export_log_size - 1, None]


def test_consecutive_claims_of_one_block_get_consecutive_indexes(busy: Busy) -> None:
    world = busy.fork()
    size = world.store.blocks[-1].header.export_log_size
    block = world.block(
        world.export(world.decision("TelemetryClaim", world.ids["batch-2"])),
        world.lock(lock_id="lock-001"),
        world.export(world.decision("UnitLockClaim", world.ids["lock-2"])),
    )
    assert [r.log_index for r in block.results] == [size, None, size + 1]
    assert [c.index for c in block.claims] == [size, size + 1]


def test_an_asset_may_be_shown_again_under_a_newer_policy_but_a_lock_may_not(busy: Busy) -> None:
    world = busy.fork()
    world.ok(world.builder().publish_policy(world.policy(version=2), world.approvers()))
    world.ok(world.export(world.decision("AssetClaim", world.ids["asset"], policy_version=2)))
    for kind, which, code in (
        ("AssetClaim", "asset", "ALREADY_EXPORTED"),
        ("UnitLockClaim", "lock", "ALREADY_EXPORTED"),
        ("TelemetryClaim", "batch", "INTERVAL_NOT_NEXT"),
    ):
        assert world.run(world.export(world.decision(kind, world.ids[which], policy_version=2))).code == code


def test_an_asset_has_another_name_at_every_destination(busy: Busy) -> None:
    world = busy.fork()
    other = ExportDestination(destination_id(1, CONTROLLER), 1, CONTROLLER, b"q" * 32)
    (first,) = world.policy().destinations
    both = tuple(sorted((first, other), key=lambda d: d.destination))
    world.ok(world.builder().publish_policy(world.policy(version=2, destinations=both), world.approvers()))
    claims = [
        claim_of(
            world.block(
                world.export(
                    world.decision(
                        "AssetClaim",
                        world.ids["asset"],
                        fields=("legal_owner",),
                        destination=d.destination,
                        policy_version=2,
                    )
                )
            )
        )
        for d in both
    ]
    one, two = claims
    assert one.envelope.asset_ref != two.envelope.asset_ref
    assert one.fields[0].value != two.fields[0].value
    assert {c.envelope.asset_ref for c in claims} == {asset_ref(d, "plant-001") for d in both}
    # Telemetry runs by destination: the same batch once at each.
    for destination in (first, other):
        decision = world.decision(
            "TelemetryClaim", world.ids["batch-2"], destination=destination.destination, policy_version=2
        )
        world.ok(world.export(decision))
        assert world.run(world.export(decision)).code == "INTERVAL_NOT_NEXT"
    # Units locked for one destination never appear at the other.
    decision = world.decision("UnitLockClaim", world.ids["lock-2"], destination=other.destination, policy_version=2)
    assert world.run(world.export(decision)).code == "DESTINATION_NOT_ALLOWED"


def test_names_of_different_kinds_never_meet() -> None:
    destination = ExportDestination(DESTINATION, L2_CHAIN_ID, CONTROLLER, KEY)
    assert asset_ref(destination, "same-id") != lock_ref(destination, "same-id")
    assert asset_ref(destination, "same-id") == hmac_sm3(KEY, b"asset\x00same-id") == pseudonym(KEY, "asset", "same-id")
    assert not hmac.compare_digest(asset_ref(destination, "a"), asset_ref(destination, "b"))


def test_medium_grade_values_do_not_cross(busy: Busy) -> None:
    """Under this policy no claim holds a name, an owner, a full division code or an identifier."""
    claims = b"".join(c.claim for block in busy.store.blocks for c in block.claims)
    assert len(claims) > 1000
    for value in ("清河", "深圳", "440305", "plant-001", "inverter-1", "lock-001", "408000", "2019-06-30", "SN-998877"):
        for form in (value.encode(), value.encode().hex().encode(), value.encode("gb18030"), value.encode("utf-16-le")):
            assert form not in claims
