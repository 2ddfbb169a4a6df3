"""Documents of `ledger submit`: strict in, signed transactions out, contact fields never in clear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.commands.documents import build, parse_document
from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.records.sealing import open_field
from mainland_chain.state.transactions import LockUnits, RegisterAsset, RegisterDevice, SubmitTelemetry
from mainland_chain.transaction_builder import TransactionBuilder
from mainland_chain.wire import parse

SEALING = bytes(range(16))
PHONE = "13800138006"
ASSET = {
    "type": "asset",
    "asset_id": "pv-1",
    "plant_name": "Roof 1",
    "capacity_w": 6000,
    "division_code": "440305",
    "commissioning_date": "2024-05-01",
    "legal_owner": "Sunfield",
    "unit_count": 1000,
    "sealed": {"contact_phone": PHONE},
}
DEVICE = {
    "type": "device",
    "device_id": "dev-1",
    "asset_id": "pv-1",
    "manufacturer": "M",
    "model": "X",
    "serial": "1",
    "rated_power_w": 6000,
    "interval_ms": 900_000,
    "signing_mode": "reading",
}
READING = {"sequence": 1, "time_ms": 1_735_689_600_000, "energy_wh": 250, "power_w": -3}
TELEMETRY = {"type": "telemetry", "device_id": "dev-1", "signing_mode": "reading", "readings": [READING]}
LOCK = {
    "type": "lock",
    "lock_id": "lock-1",
    "asset_id": "pv-1",
    "units": 100,
    "destination": "0x" + "ab" * 32,
    "issuer": "cd" * 20,
    "filing_reference": "F-1",
    "expires_at_ms": 1_900_000_000_000,
}


def made(document: dict[str, Any]) -> tuple[Any, bytes]:
    member, device = PrivateKey.generate(), PrivateKey.generate()
    builder = TransactionBuilder(b"\x01" * 32, "ops.originator", member, lambda: 7)
    parsed = parse_document(json.dumps(document).encode(), "test")
    built = build(parsed, builder, lambda device_id: device, lambda: SEALING)
    return parse(built.raw).body, built.raw


def test_asset_seals_contact_fields() -> None:
    body, raw = made(ASSET)
    assert isinstance(body, RegisterAsset)
    assert (body.asset_id, body.unit_count) == ("pv-1", 1000)
    assert open_field(SEALING, body.sealed[0])[0] == PHONE
    assert PHONE.encode() not in raw


def test_device_and_telemetry() -> None:
    device, _ = made(DEVICE)
    assert isinstance(device, RegisterDevice)
    assert device.rated_power_w == 6000
    telemetry, _ = made(TELEMETRY)
    assert isinstance(telemetry, SubmitTelemetry)
    assert telemetry.readings[0].power_w == -3
    assert len(telemetry.signatures) == 1


def test_lock() -> None:
    body, _ = made(LOCK)
    assert isinstance(body, LockUnits)
    assert body.destination == b"\xab" * 32
    assert body.issuer == b"\xcd" * 20


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({**ASSET, "extra": 1}, "extra"),
        ({**ASSET, "capacity_w": "6000"}, "capacity_w"),
        ({**ASSET, "capacity_w": 6000.5}, "capacity_w"),
        ({**ASSET, "unit_count": -1}, "unit_count"),
        ({**ASSET, "sealed": {"plant_name": "x"}}, "sealed"),
        ({**DEVICE, "signing_mode": "none"}, "signing_mode"),
        ({**TELEMETRY, "readings": []}, "readings"),
        ({**TELEMETRY, "readings": [{**READING, "power_w": 2**31}]}, "power_w"),
        ({**LOCK, "issuer": "cd"}, "issuer"),
        ({**LOCK, "destination": "zz" * 32}, "destination"),
        ({"type": "member"}, "type"),
        ({}, "type"),
    ],
)
def test_wrong_documents_name_the_field(document: dict[str, Any], place: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_document(json.dumps(document).encode(), "test")
    assert caught.value.code == "BAD_DOCUMENT"
    assert place in caught.value.message


def test_values_are_not_repeated_in_the_error() -> None:
    document = {**ASSET, "sealed": {"contact_phone": 13800138006}}
    with pytest.raises(Rejected) as caught:
        parse_document(json.dumps(document).encode(), "test")
    assert PHONE not in str(caught.value)


def test_not_json() -> None:
    with pytest.raises(Rejected, match="Invalid JSON"):
        parse_document(b"{", "test")
