"""Every check of `verify_packet` has a packet that only this check refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from mainland_chain.crypto.keccak import keccak256
from mainland_chain.light.claims import (
    AssetClaim,
    ExportedField,
    TelemetryClaim,
    Transform,
    decode_claim,
    leaf_hash,
)
from mainland_chain.light.errors import Equivocation, VerificationError
from mainland_chain.light.packet import (
    MAX_CLOCK_SKEW_MS,
    FieldOpening,
    Packet,
    VerifiedPacket,
    packet_id,
    verify_packet,
)
from mainland_chain.light.trust import TrustedState
from mainland_chain.light.types import CertifiedCheckpoint
from tests.unit.mainland_chain.light.simulated_ledger import DESTINATION, SimulatedLedger, make_openings


@pytest.fixture(scope="module")
def ledger() -> SimulatedLedger:
    ledger = SimulatedLedger()
    for _ in range(3):
        ledger.asset()
    ledger.lock(b"\x11" * 20)
    ledger.telemetry()
    return ledger


def check(ledger: SimulatedLedger, packet: Packet, now_ms: int | None = None) -> VerifiedPacket:
    trusted = TrustedState.from_genesis(ledger.genesis)
    return verify_packet(packet, trusted, destination=DESTINATION, now_ms=now_ms or ledger.clock)


def fails(ledger: SimulatedLedger, packet: Packet, code: str, now_ms: int | None = None) -> None:
    with pytest.raises(VerificationError) as caught:
        check(ledger, packet, now_ms)
    assert caught.value.code == code, caught.value


def test_accepts_every_kind(ledger: SimulatedLedger) -> None:
    for index in range(5):
        packet = ledger.packet(index)
        verified = check(ledger, packet)
        assert verified.packet_id == packet.packet_id()
        assert verified.claim == decode_claim(packet.claim)
        assert verified.trusted.head == packet.checkpoint


def test_packet_id_does_not_depend_on_the_checkpoint(ledger: SimulatedLedger) -> None:
    older = ledger.packet(0)
    newer = ledger.packet(0, ledger.checkpoint(height=ledger.height + 1))
    assert older.packet_id() == newer.packet_id()
    leaf = leaf_hash(older.claim)
    assert older.packet_id() == keccak256(b"lianqiao.packet.v1" + ledger.chain_id + bytes(8) + leaf)
    with pytest.raises(VerificationError):
        packet_id(ledger.chain_id, 2**64, leaf)


def test_follows_rotations() -> None:
    ledger = SimulatedLedger()
    ledger.asset()
    rotation = ledger.rotate()
    at_rotation = ledger.packet(0, rotation.certified)
    assert check(ledger, at_rotation).trusted.epoch == 1
    ledger.telemetry()
    ledger.rotate()
    ledger.telemetry()
    verified = check(ledger, ledger.packet(1))
    assert verified.trusted.epoch == 2
    fails(ledger, dataclasses.replace(ledger.packet(1), rotations=tuple(ledger.rotations[:1])), "WRONG_EPOCH")
    fails(ledger, dataclasses.replace(ledger.packet(1), rotations=tuple(ledger.rotations[::-1])), "WRONG_EPOCH")
    fails(ledger, dataclasses.replace(at_rotation, rotations=tuple(ledger.rotations)), "WRONG_EPOCH")


def test_a_forged_rotation_is_refused() -> None:
    ledger = SimulatedLedger()
    ledger.asset()
    rotation = ledger.rotate()
    certificate = dataclasses.replace(
        rotation.certified.certificate, signatures=rotation.certified.certificate.signatures[:1] * 3
    )
    forged = dataclasses.replace(rotation, certified=CertifiedCheckpoint(rotation.certified.checkpoint, certificate))
    fails(ledger, dataclasses.replace(ledger.packet(0), rotations=(forged,)), "BAD_SIGNATURE")


def test_contradiction_with_what_is_trusted(ledger: SimulatedLedger) -> None:
    trusted = TrustedState.from_genesis(ledger.genesis).apply_checkpoint(ledger.checkpoint())
    twin = ledger.packet(0, ledger.checkpoint(header_hash=b"\x09" * 32))
    with pytest.raises(Equivocation):
        verify_packet(twin, trusted, destination=DESTINATION, now_ms=ledger.clock)


def test_an_older_checkpoint_does_not_turn_trust_back(ledger: SimulatedLedger) -> None:
    head = ledger.checkpoint(height=ledger.height + 5)
    trusted = TrustedState.from_genesis(ledger.genesis).apply_checkpoint(head)
    verified = verify_packet(ledger.packet(0), trusted, destination=DESTINATION, now_ms=ledger.clock)
    assert verified.trusted.head == head


BIG_PATH = (bytes(32),) * 65


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: {"claim": bytes(16 * 1024 + 1)}, "TOO_LARGE"),
        (lambda p: {"inclusion_path": BIG_PATH}, "TOO_LARGE"),
        (lambda p: {"openings": p.openings * 40}, "TOO_LARGE"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], path=BIG_PATH),)}, "TOO_LARGE"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], name="n" * 257),)}, "TOO_LARGE"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], value=bytes(4097)),)}, "TOO_LARGE"),
        (lambda p: {"checkpoint": _signatures(p.checkpoint, (bytes(64),) * 65)}, "TOO_LARGE"),
        (lambda p: {"inclusion_path": (b"short", *p.inclusion_path[1:])}, "BAD_LENGTH"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], salt=b"short"),)}, "BAD_LENGTH"),
        (lambda p: {"claim": p.claim[:-1]}, "BAD_CLAIM"),
        (lambda p: {"claim": p.claim + bytes(32)}, "BAD_CLAIM"),
        (lambda p: {"log_index": 2**64}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"log_index": p.log_index + 1}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"log_index": p.checkpoint.checkpoint.log_size}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"inclusion_path": p.inclusion_path[:-1]}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"inclusion_path": (*p.inclusion_path, bytes(32))}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"inclusion_path": p.inclusion_path[::-1]}, "BAD_INCLUSION_PROOF"),
        (lambda p: {"openings": p.openings[:1]}, "OPENING_MISSING"),
        (lambda p: {"openings": ()}, "OPENING_MISSING"),
        (lambda p: {"openings": (*p.openings, p.openings[0])}, "OPENING_TWICE"),
        (
            lambda p: {"openings": (*p.openings, dataclasses.replace(p.openings[0], name="province"))},
            "OPENING_UNEXPECTED",
        ),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], index=2), p.openings[1])}, "BAD_OPENING"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], value=b"\x01409"), p.openings[1])}, "BAD_OPENING"),
        (lambda p: {"openings": (dataclasses.replace(p.openings[0], salt=bytes(32)), p.openings[1])}, "BAD_OPENING"),
    ],
)
def test_refuses_a_changed_packet(
    ledger: SimulatedLedger, change: Callable[[Packet], dict[str, Any]], code: str
) -> None:
    packet = ledger.packet(1)
    fails(ledger, dataclasses.replace(packet, **change(packet)), code)


def _signatures(certified: CertifiedCheckpoint, signatures: tuple[bytes, ...]) -> CertifiedCheckpoint:
    return dataclasses.replace(certified, certificate=dataclasses.replace(certified.certificate, signatures=signatures))


def test_refuses_too_many_rotations(ledger: SimulatedLedger) -> None:
    other = SimulatedLedger()
    other.asset()
    rotation = other.rotate()
    fails(ledger, dataclasses.replace(ledger.packet(1), rotations=(rotation,) * 257), "TOO_LARGE")


def test_refuses_a_weak_certificate(ledger: SimulatedLedger) -> None:
    fails(ledger, ledger.packet(1, ledger.checkpoint(signers=2)), "NO_QUORUM")


def test_refuses_another_ledger_and_another_destination(ledger: SimulatedLedger) -> None:
    other = SimulatedLedger()
    other.asset()
    fails(ledger, other.packet(0), "WRONG_CHAIN")
    # The other ledger's claim inside this ledger's log: only the claim's own chain id gives it away.
    local = SimulatedLedger()
    local.asset(chain_id=other.chain_id)
    fails(local, local.packet(0), "WRONG_CHAIN")
    local.asset(destination=keccak256(b"elsewhere"))
    fails(local, local.packet(1), "WRONG_DESTINATION")


def test_refuses_a_checkpoint_of_another_ledger_over_this_claim(ledger: SimulatedLedger) -> None:
    other = SimulatedLedger()
    other.claims, other.openings, other.height, other.clock = (
        ledger.claims,
        ledger.openings,
        ledger.height,
        ledger.clock,
    )
    fails(ledger, other.packet(1), "WRONG_CHAIN")


def _asset_with(ledger: SimulatedLedger, value: bytes, shown: str, **envelope: object) -> Packet:
    root, openings = make_openings({"capacity_kw": value}, ("capacity_kw",))
    fields = (ExportedField("capacity_kw", Transform.KEEP, shown),)
    kept = ledger.envelope(AssetClaim, root, **envelope)
    return ledger.packet(ledger.append(AssetClaim(kept, bytes(32), 1, fields), openings))


@pytest.mark.parametrize(
    ("value", "shown", "code"),
    [
        (b"\x01408", "408", None),
        (b"\x01-5", "-5", None),
        (b"\x03\xab\xcd", "abcd", None),
        (b"\x02\xe9\x93\xbe", "链", None),
        (b"\x01408", "409", "OPENING_DIFFERS"),
        (b"\x01+8", "8", "BAD_OPENING"),
        (b"\x01x", "x", "BAD_OPENING"),
        (b"\x02\xff", "x", "BAD_OPENING"),
        (b"\x04x", "x", "BAD_OPENING"),
        (b"", "", "BAD_OPENING"),
    ],
)
def test_kept_values_must_be_those_of_the_record(value: bytes, shown: str, code: str | None) -> None:
    ledger = SimulatedLedger()
    packet = _asset_with(ledger, value, shown)
    if code is None:
        check(ledger, packet)
    else:
        fails(ledger, packet, code)


def test_telemetry_opens_nothing(ledger: SimulatedLedger) -> None:
    opening = FieldOpening("energy_wh", b"\x015", bytes(32), 0, 1, ())
    fails(ledger, dataclasses.replace(ledger.packet(4), openings=(opening,)), "OPENING_UNEXPECTED")


def test_times_must_be_possible() -> None:
    ledger = SimulatedLedger()
    ledger.asset()
    skew = MAX_CLOCK_SKEW_MS
    check(ledger, ledger.packet(0), now_ms=ledger.clock - skew)
    fails(ledger, ledger.packet(0), "FROM_THE_FUTURE", now_ms=ledger.clock - skew - 1)
    fails(ledger, ledger.packet(ledger.asset(height=99)), "BAD_TIME")
    fails(ledger, ledger.packet(ledger.asset(height=0)), "BAD_TIME")
    fails(ledger, ledger.packet(ledger.asset(time_ms=ledger.clock + 5000)), "BAD_TIME")
    for start, end in ((5, 5), (6, 5), (5, ledger.clock + 99_999)):
        claim = TelemetryClaim(ledger.envelope(TelemetryClaim, bytes(32)), start, end, 1, 1, 1, 0, ())
        fails(ledger, ledger.packet(ledger.append(claim)), "BAD_TIME")
