"""What is stored and sent comes back as it was; what is something else is refused."""

from __future__ import annotations

import pytest

from bridge.delivery import wire
from bridge.delivery.contradiction import Contradiction
from lianqiao_base.errors import Rejected
from tests.unit.mainland_chain.light.simulated_ledger import SimulatedLedger


@pytest.fixture(scope="module")
def contradiction() -> Contradiction:
    ledger = SimulatedLedger()
    ledger.asset()
    rotations = (ledger.rotate(), ledger.rotate())
    ledger.telemetry()
    return Contradiction(ledger.checkpoint(), ledger.checkpoint(header_hash=b"\x07" * 32), rotations)


def test_a_contradiction_comes_back(contradiction: Contradiction) -> None:
    data = wire.encode_contradiction(contradiction)
    back = wire.decode_contradiction(data)
    assert back == contradiction
    assert back.item_id == contradiction.item_id
    assert wire.decode_rotations(wire.encode_rotations(contradiction.rotations)) == contradiction.rotations
    without = Contradiction(contradiction.first, contradiction.second, ())
    assert wire.decode_contradiction(wire.encode_contradiction(without)) == without


def test_what_is_no_stored_contradiction(contradiction: Contradiction) -> None:
    data = wire.encode_contradiction(contradiction)
    for bad in (b"", data[:-1], data + b"\0", data + bytes(4), data[:4], data + data):
        with pytest.raises(Rejected):
            wire.decode_contradiction(bad)


def test_a_packet_has_a_largest_size(contradiction: Contradiction) -> None:
    message = wire.pb.Packet(
        claim=bytes(wire.MAX_MESSAGE_BYTES), checkpoint=wire.checkpoint_to_proto(contradiction.first)
    )
    with pytest.raises(Rejected) as caught:
        wire.packet_from_proto(message)
    assert caught.value.code == "PACKET_TOO_LARGE"


def test_what_is_no_message() -> None:
    for decode in (wire.decode_packet, wire.decode_order, wire.decode_checkpoint, wire.decode_rotations):
        with pytest.raises(Rejected) as caught:
            decode(b"\xff")
        assert caught.value.code == "BAD_MESSAGE"
