"""Following the chain of validator sets: forwards only, and never past a contradiction."""

from __future__ import annotations

import dataclasses

import pytest

from lianqiao_base.errors import Fatal
from mainland_chain.light.errors import Equivocation, VerificationError
from mainland_chain.light.trust import TrustedState, decode_evidence, encode_evidence
from mainland_chain.light.types import Rotation
from tests.unit.mainland_chain.light.simulated_ledger import SimulatedLedger


@pytest.fixture
def ledger() -> SimulatedLedger:
    ledger = SimulatedLedger()
    ledger.asset()
    return ledger


def fails(code: str, state: TrustedState, step: object) -> None:
    with pytest.raises(VerificationError) as caught:
        (state.apply_rotation if isinstance(step, Rotation) else state.apply_checkpoint)(step)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_follows_checkpoints_and_rotations(ledger: SimulatedLedger) -> None:
    state = TrustedState.from_genesis(ledger.genesis)
    first = ledger.checkpoint()
    state = state.apply_checkpoint(first)
    assert state.head == first
    assert state.apply_checkpoint(first) is state
    rotation = ledger.rotate()
    state = state.apply_rotation(rotation)
    assert (state.epoch, state.validators.hash, state.head) == (1, rotation.next_set.hash, rotation.certified)
    ledger.telemetry()
    state = state.apply_checkpoint(ledger.checkpoint())
    state = state.apply_rotation(ledger.rotate())
    assert (state.epoch, len(state.rotations)) == (2, 2)
    assert state.at_genesis() == TrustedState.from_genesis(ledger.genesis)
    assert TrustedState.from_validators(ledger.genesis.validator_set()).chain_id == ledger.chain_id


def test_trust_starts_at_epoch_zero(ledger: SimulatedLedger) -> None:
    with pytest.raises(VerificationError):
        TrustedState.from_validators(ledger.next_set())


def test_refuses_without_quorum(ledger: SimulatedLedger) -> None:
    state = TrustedState.from_genesis(ledger.genesis)
    fails("NO_QUORUM", state, ledger.checkpoint(signers=2))
    incoming = ledger.next_set()
    fails("NO_QUORUM", state, Rotation(ledger.checkpoint(signers=2, next_set=incoming), incoming))


def test_refuses_to_go_backwards(ledger: SimulatedLedger) -> None:
    old = ledger.checkpoint()
    ledger.telemetry()
    state = TrustedState.from_genesis(ledger.genesis).apply_checkpoint(ledger.checkpoint())
    fails("ROLLBACK", state, old)
    up = ledger.height + 1
    fails("LOG_SHRANK", state, ledger.checkpoint(height=up, size=1))
    fails("LOG_ROOT_CHANGED", state, ledger.checkpoint(height=up, log_root=b"\x01" * 32))
    fails("TIME_REVERSED", state, ledger.checkpoint(height=up, time_ms=ledger.clock - 1))
    incoming = ledger.next_set()
    rollback = dataclasses.replace(old.checkpoint, next_validators_hash=incoming.hash, height=old.checkpoint.height)
    fails("ROLLBACK", state, Rotation(ledger.certify(rollback), incoming))
    state.apply_checkpoint(ledger.checkpoint(height=up))


def test_refuses_unannounced_or_wrong_sets(ledger: SimulatedLedger) -> None:
    state = TrustedState.from_genesis(ledger.genesis)
    incoming, other = ledger.next_set(), ledger.next_set()
    certified = ledger.checkpoint(next_set=incoming)
    fails("ROTATION_MISSING", state, certified)
    fails("NEXT_VALIDATORS_MISMATCH", state, Rotation(certified, other))
    skipped = dataclasses.replace(incoming, epoch=2)
    fails("WRONG_NEXT_EPOCH", state, Rotation(ledger.checkpoint(next_set=skipped), skipped))
    foreign = dataclasses.replace(incoming, chain_id=bytes(32))
    fails("WRONG_NEXT_EPOCH", state, Rotation(ledger.checkpoint(next_set=foreign), foreign))
    applied = state.apply_rotation(Rotation(certified, incoming))
    fails("WRONG_EPOCH", applied, Rotation(certified, incoming))


def test_equivocation_carries_both_and_freezes(ledger: SimulatedLedger) -> None:
    first = ledger.checkpoint()
    second = ledger.checkpoint(header_hash=b"\x07" * 32)
    state = TrustedState.from_genesis(ledger.genesis).apply_checkpoint(first)
    with pytest.raises(Equivocation) as caught:
        state.apply_checkpoint(second)
    assert caught.value.data["first"] == encode_evidence(first).hex()
    assert caught.value.data["second"] == encode_evidence(second).hex()
    frozen = state.freeze(first, second)
    assert frozen.frozen
    ledger.telemetry()
    for attempt in (
        lambda: frozen.apply_checkpoint(ledger.checkpoint()),
        lambda: frozen.apply_rotation(ledger.rotate()),
        lambda: frozen.merge(state),
        lambda: state.merge(frozen),
    ):
        with pytest.raises(Fatal) as refused:
            attempt()
        assert refused.value.code == "CLIENT_FROZEN"


def test_freezing_needs_proof(ledger: SimulatedLedger) -> None:
    first = ledger.checkpoint()
    state = TrustedState.from_genesis(ledger.genesis).apply_checkpoint(first)
    for second, code in (
        (ledger.checkpoint(signers=2, header_hash=b"\x07" * 32), "NO_QUORUM"),
        (first, "NOT_EQUIVOCATION"),
        (ledger.checkpoint(height=ledger.height + 1), "NOT_EQUIVOCATION"),
    ):
        with pytest.raises(VerificationError) as caught:
            state.freeze(first, second)
        assert caught.value.code == code
    future = ledger.checkpoint(epoch=1)
    with pytest.raises(VerificationError) as caught:
        state.freeze(future, ledger.checkpoint(epoch=1, header_hash=b"\x07" * 32))
    assert caught.value.code == "WRONG_EPOCH"


def test_merge_keeps_the_further_state_and_finds_forks(ledger: SimulatedLedger) -> None:
    start = TrustedState.from_genesis(ledger.genesis)
    low = start.apply_checkpoint(ledger.checkpoint())
    ledger.telemetry()
    high = start.apply_checkpoint(ledger.checkpoint())
    assert low.merge(high) is high
    assert high.merge(low) is high
    assert start.merge(low) is low
    twin = start.apply_checkpoint(ledger.checkpoint(header_hash=b"\x07" * 32))
    with pytest.raises(Equivocation):
        high.merge(twin)
    one, two = ledger.next_set(), ledger.next_set()
    left = start.apply_rotation(Rotation(ledger.checkpoint(next_set=one), one))
    right = start.apply_rotation(Rotation(ledger.checkpoint(next_set=two), two))
    with pytest.raises(Equivocation):
        left.merge(right)
    later = start.apply_rotation(Rotation(ledger.checkpoint(next_set=two, height=ledger.height + 1), two))
    with pytest.raises(VerificationError) as caught:
        left.merge(later)
    assert caught.value.code == "FORKED_SETS"


def test_evidence_round_trips_and_is_read_strictly(ledger: SimulatedLedger) -> None:
    certified = ledger.checkpoint()
    data = encode_evidence(certified)
    assert decode_evidence(data) == certified
    for bad in (b"", data[:-1], data + b"\0", data[:263]):
        with pytest.raises(VerificationError) as caught:
            decode_evidence(bad)
        assert caught.value.code == "BAD_EVIDENCE"
