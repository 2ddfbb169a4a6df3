"""A device's rows together with what the ledger made of them."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.demo.data import DeviceSeries, RawRow
from bridge.demo.model import DeviceSummary, RowStatus, TelemetryPoint

Rules = Mapping[int, tuple[str, ...]]
"""By sequence number."""


def summarise(series: DeviceSeries, flagged: Rules, refused: Rules) -> DeviceSummary:
    """Every row of the series with its outcome; what is neither flagged, refused nor missing was anchored as it is."""
    return DeviceSummary(
        title=series.title,
        provenance=series.provenance.text(),
        points=tuple(_point(row, flagged, refused) for row in series.rows),
        device_id=series.device_id,
        asset_id=series.asset_id,
        nameplate=f"{series.manufacturer}, {series.model}, {series.rated_power_w:,} W, serial {series.serial}",
        signing_mode="one signature per batch" if series.signing_mode == "BATCH" else "one signature per reading",
        interval_ms=series.interval_ms,
        utc_offset_minutes=series.utc_offset_minutes,
        rated_power_w=series.rated_power_w,
    )


def _point(row: RawRow, flagged: Rules, refused: Rules) -> TelemetryPoint:
    if row.reading is None:
        return TelemetryPoint(row.time_ms, None, None, RowStatus.MISSING, ("MISSING_VALUE",), row.note, row.line)
    sequence = row.reading.sequence
    if sequence in refused:
        return TelemetryPoint(row.time_ms, row.power_w, None, RowStatus.REFUSED, refused[sequence], row.note, row.line)
    rules = flagged.get(sequence, ())
    status = RowStatus.FLAGGED if rules else RowStatus.OK
    return TelemetryPoint(row.time_ms, row.power_w, row.reading.energy_wh, status, rules, row.note, row.line)
