"""Readings: one measured interval of a device (docs/protocol.md §1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from mainland_chain.crypto.sm3 import sm3, tag
from mainland_chain.records.record import BYTES, PlainField, Record, encode_value

_FORMAT = struct.Struct(">QQqiII")
READING_BYTES = _FORMAT.size
MAX_BATCH = 1024
PREFIX = "reading/"
_NAMES = tuple(f"{PREFIX}{i:05d}" for i in range(MAX_BATCH))

FLAG_MISSING_CHANNEL = 1
FLAG_SUBSTITUTED = 2


class Reading(NamedTuple):
    """A named tuple, because a batch of 288 is on the hot path."""

    sequence: int
    time_ms: int
    """End of the interval, ms UTC."""
    energy_wh: int
    """Energy of the interval, Wh."""
    power_w: int
    """AC power, W; slightly negative at night."""
    irradiance_w_m2: int
    flags: int

    def encode(self) -> bytes:
        return _FORMAT.pack(*self)


def decode_reading(data: bytes) -> Reading:
    return Reading(*_FORMAT.unpack(data))


def reading_message(chain_id: bytes, device_id: str, reading: bytes) -> bytes:
    """What a device signs for one reading."""
    return tag("lianqiao.reading.v1") + chain_id + sm3(device_id.encode()) + reading


def batch_message(chain_id: bytes, device_id: str, readings: Sequence[bytes]) -> bytes:
    """What a device signs for an interval batch."""
    head = tag("lianqiao.reading-batch.v1") + chain_id + sm3(device_id.encode())
    return head + len(readings).to_bytes(4, "big") + b"".join(readings)


def telemetry_record(
    seed: bytes,
    asset_id: str,
    device_id: str,
    interval_start_ms: int,
    readings: Sequence[Reading],
    encoded: Sequence[bytes],
) -> Record:
    """The record of one batch: five plain fields and one leaf per reading."""
    head = [
        PlainField("asset_id", encode_value(asset_id)),
        PlainField("device_id", encode_value(device_id)),
        PlainField("first_sequence", encode_value(readings[0].sequence)),
        PlainField("interval_end_ms", encode_value(readings[-1].time_ms)),
        PlainField("interval_start_ms", encode_value(interval_start_ms)),
    ]
    rows = [PlainField(_NAMES[i], BYTES + raw) for i, raw in enumerate(encoded)]
    return Record("telemetry", seed, tuple(head + rows))


def readings_of(record: Record) -> tuple[Reading, ...]:
    """The readings of a telemetry record, in order."""
    return tuple(
        decode_reading(f.value[1:]) for f in record.fields if isinstance(f, PlainField) and f.name.startswith(PREFIX)
    )
