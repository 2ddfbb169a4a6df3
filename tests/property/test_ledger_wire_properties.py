"""Whatever bytes arrive: a typed refusal, never another exception, in parsing, checking and block execution alike."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lianqiao.ledger.v1 import transaction_pb2 as pb

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.state.refusals import MalformedTransaction, TransactionRefused
from mainland_chain.transaction_builder import BuiltTransaction
from mainland_chain.wire import parse, serialize, signed_bytes
from tests.support.busy import Busy
from tests.support.world import NOW

WIDE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


@pytest.fixture(scope="module")
def valid(busy: Busy) -> list[BuiltTransaction]:
    return [
        busy.admit_new(),
        busy.register_device(device_id="inverter-9", device_key=PrivateKey.generate()),
        busy.asset(asset_id="plant-009"),
        busy.telemetry(busy.readings(3, first=9)),
        busy.lock(lock_id="lock-009"),
        busy.builder().publish_policy(busy.policy(version=2), busy.approvers()),
        busy.export(busy.decision("TelemetryClaim", busy.ids["batch-2"], fields=("energy_wh",))),
        busy.export(busy.decision("UnitLockClaim", busy.ids["lock-2"])),
    ]


def run_everywhere(world: Busy, raw: bytes) -> None:
    """Every entrance of the application, in its order; the world is a fork that is thrown away."""
    app = world.app
    try:
        tx = parse(raw)
    except MalformedTransaction:
        tx = None
    for attempt in (lambda: app.precheck(raw), lambda: app.check(raw, NOW + 5000)):
        try:
            tx_hash = attempt()
            assert tx is not None, "bytes that do not parse were accepted"
            assert tx_hash == tx.tx_hash
        except (MalformedTransaction, TransactionRefused) as error:
            assert (tx is None) == isinstance(error, MalformedTransaction)
    proposal = app.prepare(app.next_height, NOW + 5000, [raw])
    assert proposal.transactions == ((raw,) if tx else ())
    app.process(proposal)
    block = app.finalize(proposal)
    app.commit()
    if tx:
        assert block.results[0].tx_hash == tx.tx_hash


@WIDE
@given(raw=st.binary(max_size=300))
def test_random_bytes(busy: Busy, raw: bytes) -> None:
    run_everywhere(busy.fork(), raw)


@WIDE
@given(transaction=st.binary(max_size=300), signature=st.binary(max_size=70))
def test_random_bytes_in_an_envelope(busy: Busy, transaction: bytes, signature: bytes) -> None:
    run_everywhere(busy.fork(), signed_bytes(transaction, signature))


@WIDE
@given(data=st.data())
def test_valid_transactions_with_bytes_changed(busy: Busy, valid: list[BuiltTransaction], data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(valid)).raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "end"])):
            case "flip":
                raw[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 8))]
            case "insert":
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case "end":
                del raw[at:]
        if not raw:
            break
    run_everywhere(busy.fork(), bytes(raw))


def _mutate(message: object, rng: random.Random) -> None:
    """Change one field somewhere in the message to something of its type that nobody expects."""
    fields = [f for f, _ in message.ListFields()]  # type: ignore[attr-defined]
    if not fields:
        return
    field = rng.choice(fields)
    value = getattr(message, field.name)
    if field.is_repeated:
        if rng.random() < 0.3:
            del value[rng.randrange(len(value)) :]
        elif rng.random() < 0.4:
            value.extend([value[0]] * rng.choice((1, 3)))
        elif field.message_type:
            _mutate(rng.choice(value), rng)
        else:
            value[rng.randrange(len(value))] = _odd(field, value[0], rng)
    elif field.message_type:
        _mutate(value, rng)
    else:
        setattr(message, field.name, _odd(field, value, rng))


def _odd(field: object, value: object, rng: random.Random) -> object:
    if isinstance(value, bytes):
        return rng.choice((b"", bytes(32), bytes(64), bytes(20), value + b"\x00", value[:-1], b"\xff" * 64, b"[" * 990))
    if isinstance(value, str):
        return rng.choice(("", "\x00", "é", "e\u0301", "x" * 4000, "plant-001", "inverter-b", "../a", "'", value + " "))
    low, high = {
        field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),  # type: ignore[attr-defined]
        field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),  # type: ignore[attr-defined]
        field.CPPTYPE_UINT32: (0, 2**32 - 1),  # type: ignore[attr-defined]
        field.CPPTYPE_UINT64: (0, 2**64 - 1),  # type: ignore[attr-defined]
        field.CPPTYPE_ENUM: (0, 2**31 - 1),  # type: ignore[attr-defined]
    }[field.cpp_type]  # type: ignore[attr-defined]
    around = [low, high, 0, 1, 2**53 - 1, 2**53, int(value) + 1, int(value) - 1, NOW]  # type: ignore[call-overload]
    return min(max(rng.choice(around), low), high)


@settings(WIDE, max_examples=400)
@given(which=st.integers(0, 7), seed=st.integers(0, 2**32), sign=st.booleans())
def test_signed_transactions_with_fields_changed(
    busy: Busy, valid: list[BuiltTransaction], which: int, seed: int, sign: bool
) -> None:
    """Well-signed nonsense goes past the signatures into the rules."""
    rng = random.Random(seed)

    def change(tx: pb.Transaction) -> None:
        for _ in range(rng.choice((1, 1, 2))):
            _mutate(tx, rng)

    try:
        built = busy.edit(valid[which], change, signer=busy.keys["org-a"])
    except (UnicodeEncodeError, KeyError):
        return
    raw = built.raw if sign else serialize(pb.SignedTransaction(transaction=built.raw[4:]))
    run_everywhere(busy.fork(), raw)


@WIDE
@given(raw=st.binary(max_size=200))
def test_parsing_raises_rejections_only(raw: bytes) -> None:
    try:
        tx = parse(raw)
    except Rejected:
        return
    assert signed_bytes(tx.transaction, tx.signature) == raw


@WIDE
@given(data=st.data())
def test_what_parses_is_the_only_encoding_of_itself(valid: list[BuiltTransaction], data: st.DataObject) -> None:
    tx = parse(data.draw(st.sampled_from(valid)).raw)
    assert signed_bytes(tx.transaction, tx.signature) == tx.raw
    assert serialize(pb.Transaction.FromString(tx.transaction)) == tx.transaction
