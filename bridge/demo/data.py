"""Measured PV telemetry from the installed package `pvanalytics`, as readings that devices can sign.

The package itself is not imported (its first line pulls in pandas and scipy): its CSV files are read where they lie. All
arithmetic is decimal; what is signed is rounded half to even, once, from the text of the file.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mainland_chain.records.reading import FLAG_MISSING_CHANNEL, FLAG_SUBSTITUTED, Reading

PACKAGE = "pvanalytics"
LICENCE = "MIT (pvanalytics)"
INTERVAL_MS = 900_000
MS_PER_HOUR = 3_600_000
DENVER = timezone(timedelta(hours=-7), "UTC-07:00")

MISSING_POWER = "missing in the data set"
NEGATIVE_IRRADIANCE = "irradiance below zero in the data set, 0 substituted"
MISSING_IRRADIANCE = "irradiance missing in the data set"
NO_SENSOR = "no irradiance channel in the data set"


class DataSetError(RuntimeError):
    """The installed package lacks a file or a column that the demo reads."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a series comes from, and every assumption made on the way."""

    package: str
    """Name and version."""
    file: str
    sha256: str
    """Of the file's bytes as installed."""
    columns: tuple[str, ...]
    source: str
    licence: str
    time_zone: str
    rating: str
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """All of it in sentences, for the report."""
        parts = (
            f"{self.source}.",
            f"File {self.file} of {self.package}, licence {self.licence}, SHA-256 {self.sha256}.",
            f"Columns: {', '.join(self.columns)}.",
            self.time_zone,
            self.rating,
            *self.notes,
        )
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of the file and the reading made from it."""

    line: int
    """Line of the file; the header is line 1."""
    time_ms: int
    """The row's time stamp, ms UTC, taken as the end of the interval."""
    power_text: str
    irradiance_text: str
    """Empty where the data set has no such column."""
    power_w: Decimal | None
    """The measured power before rounding, W."""
    reading: Reading | None
    """None when there is no power to sign."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class DeviceSeries:
    """A simulated device that replays one measured channel."""

    device_id: str
    asset_id: str
    title: str
    provenance: Provenance
    manufacturer: str
    model: str
    serial: str
    rated_power_w: int
    interval_ms: int
    signing_mode: Literal["BATCH", "READING"]
    rows: tuple[RawRow, ...]
    utc_offset_minutes: int = 0
    """For labels only."""

    @property
    def readings(self) -> tuple[Reading, ...]:
        return tuple(row.reading for row in self.rows if row.reading is not None)


def batches(series: DeviceSeries, per_batch: int = 96) -> tuple[tuple[Reading, ...], ...]:
    """The readings in order, cut into interval batches; rows without a reading have nothing to submit."""
    if per_batch < 1:
        raise ValueError(f"a batch has at least one reading, not {per_batch}")
    readings = series.readings
    return tuple(readings[i : i + per_batch] for i in range(0, len(readings), per_batch))


def to_reading(sequence: int, time_ms: int, power_w: Decimal, irradiance: Decimal | None, interval_ms: int) -> Reading:
    """Round once, half to even. Energy is a generation counter: consumption at night does not turn it back."""
    flags = 0
    if irradiance is None:
        flags |= FLAG_MISSING_CHANNEL
    elif irradiance < 0:
        flags |= FLAG_SUBSTITUTED
    energy = _whole(power_w * interval_ms / MS_PER_HOUR)
    light = _whole(irradiance) if irradiance is not None else 0
    return Reading(sequence, time_ms, max(0, energy), _whole(power_w), max(0, light), flags)


def load_rsf_ii() -> DeviceSeries:
    """Whole-plant AC meter of the RSF II roof, in kW."""
    table = _table("nrel_RSF_II.csv")
    power, light = "ac_power_kw_1137", "poa_irradiance__1055"
    return DeviceSeries(
        device_id="dev-rsf2-meter",
        asset_id="pv-rsf2",
        title="RSF II roof, plant meter",
        provenance=table.provenance(
            (power, light),
            "NREL RSF II, Golden, Colorado: PVDAQ system 1283, per the pvanalytics documentation",
            "The file states no time zone; its times are read as UTC-07:00 and as the end of the interval. Daylight in the file"
            " centres near 14:00, so the logger's clock seems to run about two hours ahead; it is not corrected.",
            "Rated 408,240 W: the plant's DC nameplate, two arrays of 204.12 kW in pvanalytics' performance-ratio example.",
        ),
        manufacturer="Lianqiao demo",
        model="Plant meter, simulated",
        serial="SIM-RSF2-1137",
        rated_power_w=408_240,
        interval_ms=INTERVAL_MS,
        signing_mode="BATCH",
        rows=table.rows(_local("%m/%d/%Y %H:%M"), power, light, Decimal(1000)),
        utc_offset_minutes=-420,
    )


def load_serf_west() -> DeviceSeries:
    """A small string inverter whose logger has faults of its own."""
    table = _table("serf_west_15min.csv")
    power, light = "ac_power__773", "poa_irradiance__771"
    same = table.count(lambda row: row["das_temperature__785"] == row[power])
    dead = table.count(lambda row: Decimal(row["ac_current__779"]) == 0 and Decimal(row[power]) > 0)
    return DeviceSeries(
        device_id="dev-serf-west",
        asset_id="pv-serf-west",
        title="SERF West, inverter",
        provenance=table.provenance(
            (power, light),
            "NREL SERF West, Golden, Colorado: PVDAQ system 51, per the pvanalytics documentation",
            "The file states no time zone; its times are read as UTC-07:00 and as the end of the interval.",
            "Rated 6,000 W: rating assumed, the documentation of pvanalytics states none.",
            f"Faults of the logger, visible in channels that are not anchored: das_temperature__785 equals AC power in {same} of"
            f" {len(table.records)} rows, and ac_current__779 is 0 in {dead} rows with positive power.",
        ),
        manufacturer="Lianqiao demo",
        model="String inverter, simulated",
        serial="SIM-SERFW-0773",
        rated_power_w=6_000,
        interval_ms=INTERVAL_MS,
        signing_mode="READING",
        rows=table.rows(_local("%Y-%m-%d %H:%M:%S"), power, light, Decimal(1)),
        utc_offset_minutes=-420,
    )


def load_inverter_7539() -> DeviceSeries:
    """Normalised power of one inverter, with outliers that the data set labels."""
    table = _table("ac_power_inv_7539_outliers.csv")
    power = "value_normalized"
    return DeviceSeries(
        device_id="dev-inverter-7539",
        asset_id="pv-inverter-7539",
        title="Inverter 7539, labelled outliers",
        provenance=table.provenance(
            (power, "outlier"),
            "PV Fleets Initiative, adapted from the DuraMAT DataHub clipping data set, per the pvanalytics documentation",
            "Times are UTC as the file labels them, although daylight from about 06:00 to 19:30 suggests local time; taken as the"
            " end of the interval. Nights are absent.",
            "The file holds normalised power; rating assumed, 1.0 is 10,000 W.",
            "Measured data into which the authors of pvanalytics inserted outliers by hand, labelled in the file; the labels are"
            " not used to decide anything.",
        ),
        manufacturer="Lianqiao demo",
        model="Inverter, simulated",
        serial="SIM-INV-7539",
        rated_power_w=10_000,
        interval_ms=INTERVAL_MS,
        signing_mode="BATCH",
        rows=table.rows(_instant, power, None, Decimal(10_000), label="outlier"),
    )


def load_all() -> tuple[DeviceSeries, ...]:
    return load_rsf_ii(), load_serf_west(), load_inverter_7539()


@dataclass(frozen=True, slots=True)
class _Table:
    file: str
    sha256: str
    time_column: str
    records: tuple[Mapping[str, str], ...]

    def provenance(self, columns: tuple[str, ...], source: str, time_zone: str, rating: str, *notes: str) -> Provenance:
        package = f"{PACKAGE} {version(PACKAGE)}"
        return Provenance(package, self.file, self.sha256, columns, source, LICENCE, time_zone, rating, notes)

    def count(self, test: Callable[[Mapping[str, str]], bool]) -> int:
        return sum(1 for record in self.records if test(record))

    def rows(
        self, parse_time: Callable[[str], int], power: str, light: str | None, scale: Decimal, label: str | None = None
    ) -> tuple[RawRow, ...]:
        """Sequence numbers count the readings signed, from 1; a row without power takes none."""
        rows: list[RawRow] = []
        sequence = 0
        for line, record in enumerate(self.records, start=2):
            time_ms = parse_time(record[self.time_column])
            power_text, light_text = record[power], record[light] if light else ""
            value, irradiance = _number(power_text), _number(light_text)
            if value is None:
                rows.append(RawRow(line, time_ms, power_text, light_text, None, None, MISSING_POWER))
                continue
            sequence += 1
            power_w = value * scale
            notes = [_light_note(light, irradiance)]
            if label and record[label].upper() == "TRUE":
                notes.append("labelled an outlier in the data set")
            reading = to_reading(sequence, time_ms, power_w, irradiance, INTERVAL_MS)
            note = "; ".join(n for n in notes if n)
            rows.append(RawRow(line, time_ms, power_text, light_text, power_w, reading, note))
        return tuple(rows)


def _table(file: str) -> _Table:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataSetError(f"the package {PACKAGE} is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data" / file
    if not path.is_file():
        raise DataSetError(f"{PACKAGE} {version(PACKAGE)} has no data file {file}")
    data = path.read_bytes()
    reader = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    time_column = (reader.fieldnames or [""])[0]
    return _Table(file, hashlib.sha256(data).hexdigest(), time_column, tuple(reader))


def _light_note(column: str | None, irradiance: Decimal | None) -> str:
    if column is None:
        return NO_SENSOR
    if irradiance is None:
        return MISSING_IRRADIANCE
    return NEGATIVE_IRRADIANCE if irradiance < 0 else ""


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _whole(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _local(pattern: str) -> Callable[[str], int]:
    return lambda text: _milliseconds(datetime.strptime(text, pattern).replace(tzinfo=DENVER))


def _instant(text: str) -> int:
    return _milliseconds(datetime.fromisoformat(text).astimezone(UTC))


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
