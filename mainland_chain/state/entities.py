"""What the ledger's state holds. Times ms UTC, energy Wh, power W, keys 64 bytes X‖Y, ids ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Values as in the protobuf enum."""

    CORE = 1
    CREDIBILITY = 2
    REGULATOR = 3


class SigningMode(IntEnum):
    """Values as in the protobuf enum."""

    READING = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Organisation:
    organisation_id: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Member:
    member_id: str
    organisation_id: str
    role: Role
    qualification_reference: str
    public_key: bytes
    tls_fingerprint: bytes
    """SHA-256 of the TLS client certificate (DER)."""


@dataclass(frozen=True, slots=True)
class Asset:
    asset_id: str
    organisation_id: str
    record_id: bytes
    unit_count: int
    locked_units: int


@dataclass(frozen=True, slots=True)
class Device:
    device_id: str
    asset_id: str
    organisation_id: str
    record_id: bytes
    public_key: bytes
    rated_power_w: int
    interval_ms: int
    signing_mode: SigningMode


@dataclass(frozen=True, slots=True)
class DeviceCursor:
    """Last accepted reading of a device."""

    sequence: int
    time_ms: int
    energy_wh: int
    power_w: int
    repeats: int
    """How many times in a row the same non-zero reading came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a telemetry record lies in time, and how many of its readings the quality rules flagged."""

    asset_id: str
    device_id: str
    interval_start_ms: int
    interval_end_ms: int
    flagged_count: int


@dataclass(frozen=True, slots=True)
class Lock:
    lock_id: str
    asset_id: str
    record_id: bytes
    units: int


@dataclass(frozen=True, slots=True)
class TelemetryExport:
    """How far the telemetry of one asset has been exported to one destination."""

    interval_end_ms: int
    cumulative_energy_wh: int


@dataclass(frozen=True, slots=True)
class Exported:
    """A record's claim in the export log."""

    log_index: int
    policy_version: int
