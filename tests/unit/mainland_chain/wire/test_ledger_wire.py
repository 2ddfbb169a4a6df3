"""Transactions on the wire: built, parsed and executed for each of the seven kinds; anything but the one encoding is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lianqiao.ledger.v1 import transaction_pb2 as pb

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.records.record import decode_record
from mainland_chain.state import codec
from mainland_chain.state.entities import Asset, Device, Lock, Member, Role, SigningMode
from mainland_chain.state.refusals import MalformedTransaction, Refusal
from mainland_chain.state.transactions import (
    AdmitMember,
    LockUnits,
    PublishExportPolicy,
    RegisterAsset,
    RegisterDevice,
    RequestExport,
    SubmitTelemetry,
)
from mainland_chain.state.view import POLICY, asset_key, device_key, lock_key, member_key, nonce_key
from mainland_chain.transaction_builder import BuiltTransaction
from mainland_chain.wire import (
    MAX_ITEMS,
    MAX_TRANSACTION_BYTES,
    decode_decision,
    parse,
    serialize,
    signed_bytes,
    transaction_hash,
)
from tests.support.busy import Busy
from tests.support.world import DESTINATION, ISSUER, QUARTER

KINDS: dict[str, tuple[type, Callable[[Busy], BuiltTransaction]]] = {
    "admit_member": (AdmitMember, lambda w: w.admit_new()),
    "register_device": (
        RegisterDevice,
        lambda w: w.register_device(device_id="inverter-9", device_key=PrivateKey.generate()),
    ),
    "register_asset": (RegisterAsset, lambda w: w.asset(asset_id="plant-009")),
    "submit_telemetry": (SubmitTelemetry, lambda w: w.telemetry(w.readings(3, first=9))),
    "lock_units": (LockUnits, lambda w: w.lock(lock_id="lock-009")),
    "publish_export_policy": (
        PublishExportPolicy,
        lambda w: w.builder().publish_policy(w.policy(version=2), w.approvers()),
    ),
    "request_export": (
        RequestExport,
        lambda w: w.export(w.decision("TelemetryClaim", w.ids["batch-2"], fields=("energy_wh", "power_w"))),
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


def build(world: Busy, kind: str) -> BuiltTransaction:
    return KINDS[kind][1](world)


def inner(built: BuiltTransaction) -> bytes:
    return bytes(pb.SignedTransaction.FromString(built.raw).transaction)


def malformed(raw: bytes) -> MalformedTransaction:
    with pytest.raises(MalformedTransaction) as error:
        parse(raw)
    assert error.value.refusal is Refusal.MALFORMED
    return error.value


def rewrapped(transaction: bytes) -> bytes:
    return signed_bytes(transaction, bytes(64))


# -- round trips -------------------------------------------------------------------------------------------------------


@kinds
def test_every_kind_is_built_parsed_and_executed(busy: Busy, kind: str) -> None:
    world = busy.fork()
    built = build(world, kind)
    tx = parse(built.raw)
    assert isinstance(tx.body, KINDS[kind][0])
    assert (tx.raw, tx.transaction, tx.tx_hash) == (built.raw, inner(built), built.tx_hash)
    assert tx.tx_hash == sm3(b"\x00" + inner(built)) == transaction_hash(inner(built))
    assert (tx.chain_id, tx.signer) == (world.chain_id, "org-a.m1")
    result = world.ok(built)
    assert (result.record_id != b"") == (
        kind in {"register_device", "register_asset", "submit_telemetry", "lock_units"}
    )
    assert (result.log_index is not None) == (kind == "request_export")
    # Telemetry is ordered by the device's sequence, everything else by the member's nonce.
    nonce = world.store.state(nonce_key("org-a.m1"))
    assert (nonce == str(tx.nonce).encode()) == (kind != "submit_telemetry")


def _state(world: Busy, kind: type, key: str) -> Any:
    raw = world.store.state(key)
    assert raw is not None
    return codec.decode(kind, raw)


def test_what_was_built_is_what_the_state_holds(busy: Busy) -> None:
    world = busy.fork()
    key = PrivateKey.generate()
    world.ok(world.admit_new(key=key))
    member = _state(world, Member, member_key("court-1.m1"))
    assert (member.organisation_id, member.role, member.public_key) == ("court-1", Role.CREDIBILITY, key.public_key)
    asset_record = world.ok(world.asset(asset_id="plant-009", unit_count=77)).record_id
    assert _state(world, Asset, asset_key("plant-009")) == Asset("plant-009", "org-a", asset_record, 77, 0)
    device_key_ = PrivateKey.generate()
    device_record = world.ok(
        world.register_device(SigningMode.READING, device_id="inv-9", device_key=device_key_, asset_id="plant-009")
    ).record_id
    assert _state(world, Device, device_key("inv-9")) == Device(
        "inv-9", "plant-009", "org-a", device_record, device_key_.public_key, 400_000, QUARTER, SigningMode.READING
    )
    lock_record = world.ok(world.lock(lock_id="lock-009", asset_id="plant-009", units=7)).record_id
    assert _state(world, Lock, lock_key("lock-009")) == Lock("lock-009", "plant-009", lock_record, 7)
    assert _state(world, Asset, asset_key("plant-009")).locked_units == 7
    policy = world.policy(version=2)
    world.ok(world.builder().publish_policy(policy, world.approvers()))
    assert _state(world, type(policy), POLICY) == policy
    stored = world.store.record(lock_record)
    assert stored is not None
    record = decode_record(stored.data)
    assert (record.binary("issuer"), record.binary("destination")) == (ISSUER, DESTINATION)
    assert (record.integer("units"), record.text("filing_reference")) == (7, "CSRC-2026-0001")
    assert record.root == stored.root


# -- strictness --------------------------------------------------------------------------------------------------------


def test_bytes_that_are_nothing(busy: Busy) -> None:
    for raw in (b"", b"\x00", b"\xff" * 10, b"not a transaction", b"\x0a", b"\x0a\x05ab", rewrapped(b"")):
        malformed(raw)


@kinds
def test_trailing_bytes_and_unknown_fields(busy: Busy, kind: str) -> None:
    built = build(busy, kind)
    unknown = b"\xf8\x07\x01"  # field 127, varint 1
    assert "canonical" in malformed(built.raw + unknown).message
    malformed(rewrapped(inner(built) + unknown))
    malformed(built.raw + b"\x00")
    tx = pb.Transaction.FromString(inner(built))
    body = getattr(tx, kind)
    body.MergeFromString(unknown)  # inside the body
    assert serialize(tx) != inner(built)
    malformed(rewrapped(serialize(tx)))


def test_unknown_fields_deep_inside(busy: Busy) -> None:
    for kind, pick in (
        ("submit_telemetry", lambda b: b.readings[1]),
        ("register_asset", lambda b: b.sealed[0]),
        ("admit_member", lambda b: b.approvals[0]),
        ("publish_export_policy", lambda b: b.rules[0]),
        ("publish_export_policy", lambda b: b.destinations[0]),
    ):
        tx = pb.Transaction.FromString(inner(build(busy, kind)))
        pick(getattr(tx, kind)).MergeFromString(b"\xf8\x07\x01")
        malformed(rewrapped(serialize(tx)))


@kinds
def test_fields_in_another_order(busy: Busy, kind: str) -> None:
    raw = inner(build(busy, kind))
    tx = pb.Transaction.FromString(raw)
    head, body = pb.Transaction(chain_id=tx.chain_id, signer=tx.signer, nonce=tx.nonce), pb.Transaction()
    getattr(body, kind).CopyFrom(getattr(tx, kind))
    swapped = serialize(body) + serialize(head)
    assert pb.Transaction.FromString(swapped) == tx
    malformed(rewrapped(swapped))
    signed = pb.SignedTransaction(transaction=raw), pb.SignedTransaction(signature=bytes(64))
    malformed(serialize(signed[1]) + serialize(signed[0]))


def test_a_field_twice_or_a_default_spelled_out(busy: Busy) -> None:
    raw = inner(build(busy, "lock_units"))
    malformed(rewrapped(raw + serialize(pb.Transaction(nonce=5))))
    malformed(rewrapped(serialize(pb.Transaction(signer="x")) + raw))
    telemetry = pb.Transaction.FromString(inner(build(busy, "submit_telemetry")))
    assert telemetry.nonce == 0
    body = pb.Transaction()
    body.submit_telemetry.CopyFrom(telemetry.submit_telemetry)
    head = serialize(pb.Transaction(chain_id=telemetry.chain_id, signer=telemetry.signer))
    assert head + serialize(body) == serialize(telemetry)
    malformed(rewrapped(head + b"\x18\x00" + serialize(body)))  # nonce 0, written
    malformed(rewrapped(head + b"\x18\x80\x00" + serialize(body)))  # in two bytes


def test_two_bodies_and_no_body(busy: Busy) -> None:
    lock = inner(build(busy, "lock_units"))
    asset = pb.Transaction()
    asset.register_asset.CopyFrom(pb.Transaction.FromString(inner(build(busy, "register_asset"))).register_asset)
    malformed(rewrapped(lock + serialize(asset)))
    assert (
        "no body" in malformed(rewrapped(serialize(pb.Transaction(chain_id=busy.chain_id, signer="org-a.m1")))).message
    )


def test_wrong_wire_types_and_text_that_is_no_utf8() -> None:
    malformed(rewrapped(b"\x08\x01"))  # chain_id as a number
    malformed(rewrapped(b"\x12\x02\xff\xfe"))  # signer
    malformed(b"\x08\x01")


def changed(world: Busy, kind: str, change: Callable[[Any], object]) -> bytes:
    return world.edit(build(world, kind), lambda t: change(getattr(t, kind))).raw


@pytest.mark.parametrize("value", [0, 4, 99, -1])
def test_roles_that_are_none(busy: Busy, value: int) -> None:
    malformed(changed(busy, "admit_member", lambda b: setattr(b, "role", value)))


@pytest.mark.parametrize("value", [0, 3, 99, -1])
def test_signing_modes_that_are_none(busy: Busy, value: int) -> None:
    malformed(changed(busy, "register_device", lambda b: setattr(b, "signing_mode", value)))


@pytest.mark.parametrize("value", [0, 10, 99, -1])
def test_transforms_that_are_none(busy: Busy, value: int) -> None:
    malformed(changed(busy, "publish_export_policy", lambda b: setattr(b.rules[0], "transform", value)))


@pytest.mark.parametrize("kind", ["register_device", "register_asset", "submit_telemetry", "lock_units"])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_seeds_have_32_bytes(busy: Busy, kind: str, length: int) -> None:
    malformed(changed(busy, kind, lambda b: setattr(b, "record_seed", bytes(length))))


@pytest.mark.parametrize("bad", ["a\x00b", "a\nb", "a\x7f", "\u202e", "x" * 201])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("admit_member", "member_id"),
        ("admit_member", "organisation_id"),
        ("register_device", "device_id"),
        ("register_device", "asset_id"),
        ("register_asset", "asset_id"),
        ("submit_telemetry", "device_id"),
        ("lock_units", "lock_id"),
        ("lock_units", "asset_id"),
    ],
)
def test_names_that_no_database_could_look_up(busy: Busy, kind: str, field: str, bad: str) -> None:
    malformed(changed(busy, kind, lambda b: setattr(b, field, bad)))


def test_such_names_in_the_envelope_and_in_approvals(busy: Busy) -> None:
    malformed(busy.edit(busy.lock(), lambda t: setattr(t, "signer", "a\x00b"), signer=busy.device).raw)
    malformed(changed(busy, "admit_member", lambda b: setattr(b.approvals[0], "member_id", "a\x00b")))


def test_size_limit(busy: Busy) -> None:
    def sized(n: int) -> bytes:
        return busy.edit(build(busy, "register_asset"), lambda t: setattr(t.register_asset, "profile", "x" * n)).raw

    room = MAX_TRANSACTION_BYTES - len(sized(400_000)) + 400_000
    assert len(sized(room)) == MAX_TRANSACTION_BYTES
    parse(sized(room))
    assert "at most" in malformed(sized(room + 1)).message


def test_lists_of_many_empty_items_are_refused(busy: Busy) -> None:
    """Two bytes each on the wire, a hundred times that in memory: half a megabyte must not become fifty."""
    lists: tuple[tuple[str, str, object], ...] = (
        ("submit_telemetry", "readings", pb.Reading()),
        ("submit_telemetry", "signatures", b""),
        ("request_export", "record_ids", b""),
        ("admit_member", "approvals", pb.Approval()),
        ("publish_export_policy", "gate_keys", b""),
    )
    for kind, field, item in lists:

        def filled(count: int, kind: str = kind, field: str = field, item: object = item) -> bytes:
            def fill(body: Any) -> None:
                body.ClearField(field)
                getattr(body, field).extend([item] * count)

            return changed(busy, kind, fill)

        parse(filled(MAX_ITEMS))
        assert f"items of {field}" in malformed(filled(MAX_ITEMS + 1)).message


# -- the decision inside an export request ---------------------------------------------------------------------------


def _decision(busy: Busy, **changes: object) -> dict[str, Any]:
    value = json.loads(busy.decision("AssetClaim", busy.ids["asset"], fields=("capacity_w",)).canonical_bytes())
    return {**value, **changes}


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_decision_is_read_back(busy: Busy) -> None:
    decision = busy.decision(
        "AssetClaim", busy.ids["asset"], fields=("capacity_w",), filing_reference="备案〔2026〕1号"
    )
    assert decode_decision(decision.canonical_bytes()) == decision
    assert decode_decision(_dump(_decision(busy))) == busy.decision(
        "AssetClaim", busy.ids["asset"], fields=("capacity_w",)
    )


BAD_DECISIONS: dict[str, Callable[[Busy], bytes]] = {
    "nothing": lambda w: b"",
    "not JSON": lambda w: b"ALLOW",
    "a list": lambda w: b"[]",
    "a string": lambda w: b'"ALLOW"',
    "null": lambda w: b"null",
    "spaces": lambda w: json.dumps(_decision(w), sort_keys=True).encode(),
    "unsorted": lambda w: _dump(dict(reversed(_decision(w).items()))).replace(b"{", b'{"verdict":"ALLOW",', 1),
    "a byte after": lambda w: _dump(_decision(w)) + b"\n",
    "an extra key": lambda w: _dump(_decision(w, zeal=1)),
    "escaped letters": lambda w: _dump(_decision(w)).replace(b"ALLOW", b"\\u0041LLOW"),
    "a key twice": lambda w: _dump(_decision(w))[:-1] + b',"verdict":"ALLOW"}',
    "upper-case hex": lambda w: _dump(_decision(w, decision_hash="AB" * 32)),
    "spaced hex": lambda w: _dump(_decision(w, decision_hash="ab " * 32)),
    "odd hex": lambda w: _dump(_decision(w, decision_hash="a")),
    "a hash of 31 bytes": lambda w: _dump(_decision(w, decision_hash="ab" * 31)),
    "a float": lambda w: _dump(_decision(w)).replace(b'"policy_version":1', b'"policy_version":1.0'),
    "a boolean for a number": lambda w: _dump(_decision(w, policy_version=True)),
    "a string for a number": lambda w: _dump(_decision(w, valid_until_ms="1")),
    "a number beyond 2^53": lambda w: _dump(_decision(w, valid_until_ms=2**53)),
    "a number for text": lambda w: _dump(_decision(w, verdict=1)),
    "null for text": lambda w: _dump(_decision(w, verdict=None)),
    "text for a list": lambda w: _dump(_decision(w, fields="ab")),
    "numbers in a list": lambda w: _dump(_decision(w, fields=[1])),
    "an object for a list": lambda w: _dump(_decision(w, record_ids={"ab": 1})),
    "a list for a hash": lambda w: _dump(_decision(w, destination=[])),
    "half a surrogate pair": lambda w: _dump(_decision(w)).replace(b"ALLOW", b"\\ud800"),
    "half a pair in a key": lambda w: b'{"\\ud800":1}',
    "no UTF-8": lambda w: _dump(_decision(w)).replace(b"ALLOW", b"\xff\xff"),
    "UTF-16": lambda w: _dump(_decision(w)).decode().encode("utf-16"),
    "deep nesting": lambda w: b"[" * 100_000 + b"]" * 100_000,
    "nesting at the limit": lambda w: b"[" * 970 + b"]" * 970,
    "endless digits": lambda w: b"1" * 50_000,
    "not a number": lambda w: b"NaN",
}


@pytest.mark.parametrize("name", BAD_DECISIONS)
def test_decisions_have_one_form(busy: Busy, name: str) -> None:
    data = BAD_DECISIONS[name](busy)
    with pytest.raises(Rejected):
        decode_decision(data)
    malformed(changed(busy, "request_export", lambda b: setattr(b, "decision", data)))


@pytest.mark.parametrize(
    "key", list(json.loads(Busy.decision(None, "AssetClaim", values_hash=bytes(32)).canonical_bytes()))
)  # type: ignore[arg-type]
def test_no_key_of_a_decision_may_be_missing(busy: Busy, key: str) -> None:
    value = _decision(busy)
    del value[key]
    with pytest.raises(Rejected):
        decode_decision(_dump(value))


def test_deep_nesting_is_refused_at_any_depth_of_the_stack(busy: Busy) -> None:
    """The verdict about bytes must not depend on who calls."""

    def at_depth(n: int, data: bytes) -> None:
        if n:
            at_depth(n - 1, data)
        else:
            with pytest.raises(Rejected):
                decode_decision(data)

    for nesting in range(100, 1000, 50):
        at_depth(500, b"[" * nesting + b"]" * nesting)
