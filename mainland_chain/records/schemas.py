"""Schemas of the record types: every field has a type and a grade.

Grades follow the evidence-deposit practice of three levels: **high** never enters a transaction in clear, **medium** is masked for all
but the owner and regulators, **low** is plain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lianqiao_base.errors import Rejected


class Grade(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class FieldType(StrEnum):
    INTEGER = "integer"
    TEXT = "text"
    DATE = "date"
    """YYYY-MM-DD."""
    DIVISION = "division"
    """GB/T 2260 code, six digits."""
    BYTES = "bytes"
    READING = "reading"
    """A column of the readings of a telemetry record, not a field of its own."""


@dataclass(frozen=True, slots=True)
class FieldSchema:
    name: str
    type: FieldType
    grade: Grade


@dataclass(frozen=True, slots=True)
class RecordSchema:
    record_type: str
    fields: tuple[FieldSchema, ...]

    def field(self, name: str) -> FieldSchema:
        """Raises `Rejected("UNKNOWN_FIELD")`."""
        for item in self.fields:
            if item.name == name:
                return item
        raise Rejected("UNKNOWN_FIELD", f"record type {self.record_type} has no field {name!r}", subject=name)

    def names(self, grade: Grade) -> frozenset[str]:
        return frozenset(f.name for f in self.fields if f.grade is grade)


def _schema(record_type: str, rows: str) -> RecordSchema:
    fields = [line.split() for line in rows.strip().splitlines()]
    return RecordSchema(record_type, tuple(FieldSchema(n, FieldType(t), Grade(g)) for n, t, g in fields))


ASSET = _schema(
    "asset",
    """
    asset_id            text      medium
    capacity_w          integer   low
    commissioning_date  date      low
    contact_id_number   text      high
    contact_name        text      high
    contact_phone       text      high
    division_code       division  medium
    legal_owner         text      medium
    plant_name          text      medium
    profile             text      low
    unit_count          integer   low
    """,
)
DEVICE = _schema(
    "device",
    """
    asset_id       text     medium
    device_id      text     medium
    interval_ms    integer  low
    manufacturer   text     low
    model          text     low
    rated_power_w  integer  low
    serial         text     medium
    """,
)
TELEMETRY = _schema(
    "telemetry",
    """
    asset_id           text     medium
    device_id          text     medium
    energy_wh          reading  low
    first_sequence     integer  low
    interval_end_ms    integer  low
    interval_start_ms  integer  low
    irradiance_w_m2    reading  low
    power_w            reading  low
    readings           reading  low
    """,
)
LOCK = _schema(
    "lock",
    """
    asset_id          text     medium
    destination       bytes    low
    expires_at_ms     integer  low
    filing_reference  text     low
    issuer            bytes    low
    lock_id           text     medium
    units             integer  low
    """,
)
SCHEMAS = {s.record_type: s for s in (ASSET, DEVICE, TELEMETRY, LOCK)}


def schema(record_type: str) -> RecordSchema:
    """Raises `Rejected("UNKNOWN_RECORD_TYPE")`."""
    found = SCHEMAS.get(record_type)
    if found is None:
        raise Rejected("UNKNOWN_RECORD_TYPE", f"no record type {record_type!r}", subject=record_type)
    return found
