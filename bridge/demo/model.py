"""What a demo run hands to the report. Plain values only: the report computes positions, never facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal


class RowStatus(StrEnum):
    """What became of one row of the data set."""

    OK = "ok"
    FLAGGED = "flagged"
    """Anchored, and marked by a quality rule."""
    REFUSED = "refused"
    """Refused by the ledger's rules."""
    MISSING = "missing"
    """The data set has no value, so the device had nothing to sign."""


@dataclass(frozen=True, slots=True)
class TelemetryPoint:
    """One row: what was measured, what was anchored, and why they differ where they do."""

    time_ms: int
    """End of the interval, ms UTC."""
    raw_power_w: str | Decimal | None
    """Measured AC power, W, before rounding. None: missing in the data set."""
    energy_wh: int | None
    """Energy of the interval as anchored, Wh. None: not anchored."""
    status: RowStatus = RowStatus.OK
    rules: tuple[str, ...] = ()
    """Quality rules (flagged), the refusal's name (refused) or the reason (missing)."""
    note: str = ""
    line: int = 0
    """Line of the file, 0 when it does not matter."""


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """One device of the run and all rows of its data set, in time order."""

    title: str
    provenance: str
    """Where the data comes from, in sentences."""
    points: tuple[TelemetryPoint, ...]
    device_id: str = ""
    asset_id: str = ""
    nameplate: str = ""
    """Manufacturer, model and rating, as shown."""
    signing_mode: str = ""
    interval_ms: int = 900_000
    utc_offset_minutes: int = 0
    """Time zone in which the chart's axis is labelled."""
    rated_power_w: int = 0
    """Drawn as a line in the chart; 0 when it is not to be drawn."""


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One step of the walk of one reading."""

    title: str
    explanation: str
    values: tuple[tuple[str, str], ...] = ()
    """Name and value; long hex is shortened in print and given in full on request."""
    zone: Literal["mainland", "border", "hong_kong"] = "mainland"


@dataclass(frozen=True, slots=True)
class MerklePicture:
    """An inclusion proof to be drawn. Hashes are hex, with or without 0x."""

    leaf: str
    index: int
    size: int
    siblings: tuple[tuple[Literal["left", "right"], str], ...]
    """From the leaf upwards: on which side the sibling stands, and its hash."""
    root: str
    title: str = "Inclusion of the claim in the export log"
    algorithm: Literal["keccak256", "sm3"] = "keccak256"
    """The report recomputes the path with it and refuses to draw one that does not end at the root."""


@dataclass(frozen=True, slots=True)
class VisibilityRow:
    """What each reader could see of one field. Free text such as "full", "masked", "hash only", "nothing"."""

    field: str
    grade: str
    owner: str
    """The mainland organisation that owns the record."""
    other_member: str
    regulator: str
    hong_kong: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim that crossed the border."""

    kind: str
    log_index: int
    fields: tuple[tuple[str, str], ...]
    """Every exported field with its value as it crossed."""


@dataclass(frozen=True, slots=True)
class GasRow:
    step: str
    gas: int
    tx_hash: str = ""


@dataclass(frozen=True, slots=True)
class StageTime:
    name: str
    ms: int


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Something that was tried and refused: a forged thing of the demo, or a data row."""

    what: str
    gate: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """The short numbers written into the picture of the flow, one line under each station."""

    devices: str
    ledger: str
    border: str
    layer2: str
    auditor: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Everything the report shows."""

    created_ms: int
    duration_ms: int
    flow: FlowFigures
    devices: tuple[DeviceSummary, ...]
    facts: tuple[tuple[str, str], ...]
    """Headline facts, label and value; four to six read best."""
    walk: tuple[WalkStep, ...]
    merkle: MerklePicture
    visibility: tuple[VisibilityRow, ...]
    claims: tuple[ClaimRow, ...]
    gas: tuple[GasRow, ...]
    stages: tuple[StageTime, ...]
    refusals: tuple[RefusalRow, ...]
    limits: tuple[str, ...]
    version: str = ""
    details: tuple[tuple[str, str], ...] = field(default=())
    """Identities worth keeping: chain id, contracts, L2 chain id, genesis."""
