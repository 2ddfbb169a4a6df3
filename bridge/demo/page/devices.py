"""The section of one device: provenance, chart, days, and every row that was flagged, refused or missing."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from html import escape

from bridge.demo.model import DeviceSummary, RowStatus, TelemetryPoint
from bridge.demo.page.chart import device_chart, rating_shown
from bridge.demo.page.text import clock, element, grouped, minute, offset_name, table

MS_PER_HOUR = 3_600_000
MEANINGS = {
    "LOGGER_FLAG": "the data logger marked the value: a channel is missing, or a value was substituted",
    "GAP": "more time has passed since the reading before than one interval",
    "NIGHT_CONSUMPTION": "power below zero, within what the device may draw at night",
    "IRRADIANCE_RANGE": "irradiance above what any sky gives on a tilted plane",
    "POWER_IN_THE_DARK": "power while the irradiance channel shows darkness",
    "STUCK_VALUE": "the same positive value at least four times in a row",
    "POWER_OUTSIDE_NAMEPLATE": "power that a device of this rating cannot deliver or draw",
    "ENERGY_OUTSIDE_NAMEPLATE": "energy that a device of this rating cannot deliver in the time",
    "MISSING_VALUE": "the data set has no value, so there was nothing to sign",
}
"""What each rule says, in words."""
_MARKS = {
    RowStatus.FLAGGED: '<li><i class="k-flag"></i>flagged</li>',
    RowStatus.REFUSED: '<li><i class="k-stop">×</i>refused</li>',
    RowStatus.MISSING: '<li><i class="k-miss"></i>missing</li>',
}


def device_section(device: DeviceSummary, number: int) -> str:
    identity = ", ".join(t for t in (device.device_id, device.nameplate, device.signing_mode) if t)
    parts = [element("h3", escape(device.title)), element("p", escape(identity), class_="note")]
    chart = device_chart(device, number)
    if chart:
        parts.append(element("figure", element("div", chart, class_="picture") + _legend(device)))
    parts += [_days(device), _outcomes(device), _rows(device)]
    source = element("summary", "Where this data comes from")
    parts.append(element("details", source + element("p", escape(device.provenance), class_="note"), open="open"))
    return "".join(parts)


def _legend(device: DeviceSummary) -> str:
    """Only what the chart shows."""
    items = [
        '<li><i class="k-line"></i>measured power (left axis)</li>',
        '<li><i class="k-area"></i>anchored energy per interval (right axis)</li>',
    ]
    if rating_shown(device):
        items.append('<li><i class="k-plate"></i>rated power</li>')
    present = {point.status for point in device.points}
    items += [mark for status, mark in _MARKS.items() if status in present]
    return element("ul", "".join(items), class_="legend")


def measured_wh(point: TelemetryPoint, interval_ms: int) -> Decimal:
    """Generation by the raw power, unrounded; what the device draws at night does not count against it."""
    return max(Decimal(0), Decimal(point.raw_power_w or 0)) * interval_ms / MS_PER_HOUR


def _days(device: DeviceSummary) -> str:
    days: dict[str, list[TelemetryPoint]] = defaultdict(list)
    for point in device.points:
        days[f"{clock(point.time_ms, device.utc_offset_minutes):%Y-%m-%d}"].append(point)
    rows = [_day(name, points, device) for name, points in days.items()]
    if len(rows) > 1:
        rows.append([element("strong", c) for c in _day("all days", list(device.points), device)])
    head = ("Day", "Rows", "Measured, kWh", "Anchored, kWh", "Not anchored, kWh", "Flagged", "Refused", "Missing")
    caption = f"Energy by day ({offset_name(device.utc_offset_minutes)})"
    return element("div", table(head, rows, caption=caption, numeric=range(1, 8)), class_="days")


def _day(name: str, points: list[TelemetryPoint], device: DeviceSummary) -> list[str]:
    measured = sum((measured_wh(p, device.interval_ms) for p in points), Decimal(0))
    anchored = sum(p.energy_wh or 0 for p in points)
    lost = sum((measured_wh(p, device.interval_ms) for p in points if p.energy_wh is None), Decimal(0))
    counts = [sum(p.status is s for p in points) for s in (RowStatus.FLAGGED, RowStatus.REFUSED, RowStatus.MISSING)]
    figures = [_kwh(measured), _kwh(Decimal(anchored)), _kwh(lost) if lost else "0"]
    return [name, grouped(len(points)), *figures, *map(grouped, counts)]


def _kwh(wh: Decimal) -> str:
    return f"{wh / 1000:,.2f}"


def _outcomes(device: DeviceSummary) -> str:
    """One row per outcome, so that a rule which fires five hundred times takes one line."""
    groups: dict[tuple[RowStatus, tuple[str, ...]], list[TelemetryPoint]] = defaultdict(list)
    for point in device.points:
        if point.status is not RowStatus.OK:
            groups[point.status, point.rules].append(point)
    if not groups:
        return element("p", "No row of this series was flagged, refused or missing.", class_="note")
    order = [RowStatus.REFUSED, RowStatus.MISSING, RowStatus.FLAGGED]
    rows = []
    for (status, rules), points in sorted(groups.items(), key=lambda g: (order.index(g[0][0]), -len(g[1]))):
        first, last = (f"{clock(points[i].time_ms, device.utc_offset_minutes):%m-%d %H:%M}" for i in (0, -1))
        when = first if len(points) == 1 else f"{first} to {last}"
        meaning = "; ".join(MEANINGS.get(rule, "") for rule in rules).strip("; ")
        rows.append(
            (
                _pill(status),
                _names(rules),
                escape(meaning),
                grouped(len(points)),
                element("span", escape(when), class_="when"),
            )
        )
    return table(("Outcome", "Rules", "Meaning", "Rows", "When"), rows, caption="Rows that are not plain", numeric=(3,))


def _rows(device: DeviceSummary) -> str:
    """Refused and missing rows in the open; flagged rows one by one on request."""
    refused = [p for p in device.points if p.status in (RowStatus.REFUSED, RowStatus.MISSING)]
    flagged = [p for p in device.points if p.status is RowStatus.FLAGGED]
    parts = []
    if refused:
        parts.append(_listing(refused, device, "Every refused or missing row"))
    if flagged:
        summary = element("summary", f"All {len(flagged)} flagged rows, one by one")
        parts.append(element("details", summary + _listing(flagged, device, "")))
    return "".join(parts)


def _listing(points: list[TelemetryPoint], device: DeviceSummary, caption: str) -> str:
    rows = (
        (
            str(p.line or "–"),
            element("span", minute(p.time_ms, device.utc_offset_minutes), class_="when"),
            "–" if p.raw_power_w is None else _watts(Decimal(p.raw_power_w)),
            "–" if p.energy_wh is None else grouped(p.energy_wh),
            element("span", p.status.value, class_=p.status.value),
            _names(p.rules),
            escape(p.note),
        )
        for p in points
    )
    head = ("Line", "Interval ends", "Measured, W", "Anchored, Wh", "Outcome", "Rules", "Note")
    return table(head, rows, caption=caption, numeric=(0, 2, 3))


def _watts(value: Decimal) -> str:
    return f"{value:,.1f}".replace("-", "−")


def _names(rules: tuple[str, ...]) -> str:
    return "<br>".join(element("code", escape(rule)) for rule in rules)


def _pill(status: RowStatus) -> str:
    return element("span", status.value, class_=f"pill {status.value}")
