"""Measured power against anchored energy, drawn on one axis.

A kilowatt-hour counted over an interval is a mean power, so the anchored energy of each interval stands as a bar on the power
axis: where nothing was lost or altered, the line of the raw data runs along the tops of the bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from itertools import pairwise

from bridge.demo.model import DeviceSummary, RowStatus, TelemetryPoint
from bridge.demo.page.text import clock, element, minute, offset_name

WIDTH, HEIGHT = 1000, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 66, 26, 262
RUG, RUG_HEIGHT = 270, 8
DAY_LABELS = 300
MIN_DAY_WIDTH = 46
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000
_STEPS = (1, 2, 5)
_COLOURS = {RowStatus.FLAGGED: "flagged", RowStatus.REFUSED: "refused", RowStatus.MISSING: "missing"}


@dataclass(frozen=True, slots=True)
class Scale:
    start_ms: int
    end_ms: int
    low: float
    high: float

    def x(self, time_ms: int) -> float:
        return LEFT + (time_ms - self.start_ms) / (self.end_ms - self.start_ms) * (WIDTH - LEFT - RIGHT)

    def y(self, watts: float) -> float:
        return BOTTOM - (watts - self.low) / (self.high - self.low) * (BOTTOM - TOP)


def watts(point: TelemetryPoint) -> float | None:
    """For drawing only."""
    return None if point.raw_power_w is None else float(Decimal(point.raw_power_w))


def device_chart(device: DeviceSummary, number: int) -> str:
    """The chart of one device; empty when it has no rows."""
    if not device.points:
        return ""
    scale = _scale(device)
    unit, divisor = ("kW", 1000) if scale.high >= 2_000 else ("W", 1)
    title, description = f"chart-{number}-title", f"chart-{number}-desc"
    body = "".join(
        (
            element("title", escape(f"{device.title}: measured power and anchored energy"), id=title),
            element("desc", escape(_describe(device)), id=description),
            *_grid(scale, device, unit, divisor),
            element("path", d=_bars(device, scale), fill="var(--energy)"),
            *_plate(device, scale),
            element(
                "path",
                d=_line(device, scale),
                fill="none",
                stroke="var(--ink)",
                stroke_width="1.2",
                stroke_linejoin="round",
            ),
            *_rug(device, scale),
            *_crosses(device, scale),
            *_days(device, scale),
        )
    )
    return element(
        "svg",
        body,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{title} {description}",
        font_size="12",
    )


def _describe(device: DeviceSummary) -> str:
    counts = {status: sum(p.status is status for p in device.points) for status in RowStatus}
    anchored = sum(p.energy_wh for p in device.points if p.energy_wh is not None)
    first, last = (minute(device.points[i].time_ms, device.utc_offset_minutes) for i in (0, -1))
    return (
        f"{len(device.points)} rows from {first} to {last}; {anchored / 1000:,.1f} kWh anchored; {counts[RowStatus.FLAGGED]} rows"
        f" flagged, {counts[RowStatus.REFUSED]} refused, {counts[RowStatus.MISSING]} missing."
    )


def rating_shown(device: DeviceSummary) -> bool:
    """A rating far above everything measured would only flatten the curve."""
    return bool(device.points) and 0 < device.rated_power_w <= _scale(device).high


def _scale(device: DeviceSummary) -> Scale:
    values = [w for w in map(watts, device.points) if w is not None]
    bars = [p.energy_wh * MS_PER_HOUR / device.interval_ms for p in device.points if p.energy_wh is not None]
    top = max([*values, *bars, 1.0])
    bottom = min([*values, 0.0])
    step = _step(top)
    low = 0.0 if bottom > -top / 50 else -step * -(bottom // step)
    return Scale(device.points[0].time_ms - device.interval_ms, device.points[-1].time_ms, low, step * -(-top // step))


def _step(span: float, lines: int = 5) -> float:
    """The round distance between grid lines that gives at most `lines` of them, and a last one above the data."""
    power = 1.0
    while True:
        for factor in _STEPS:
            if span / (power * factor) <= lines:
                return power * factor
        power *= 10


def _grid(scale: Scale, device: DeviceSummary, unit: str, divisor: int) -> Iterator[str]:
    step = _step(scale.high)
    hours = device.interval_ms / MS_PER_HOUR
    yield _text(LEFT - 8, 12, unit, anchor="end", colour="var(--soft)")
    yield _text(WIDTH - RIGHT + 8, 12, f"{unit}h", colour="var(--soft)")
    value = scale.low
    while value <= scale.high + step / 2:
        y = scale.y(value)
        colour = "var(--soft)" if value == 0 else "var(--line)"
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke=colour, stroke_width="1")
        yield _text(LEFT - 8, y + 4, _label(value / divisor), anchor="end", colour="var(--soft)")
        if value >= 0:
            yield _text(WIDTH - RIGHT + 8, y + 4, _label(value * hours / divisor), colour="var(--soft)")
        value += step


def _label(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".").replace("-", "−")


def _bars(device: DeviceSummary, scale: Scale) -> str:
    parts = []
    base = scale.y(0)
    for point in device.points:
        if point.energy_wh:
            left, right = scale.x(point.time_ms - device.interval_ms), scale.x(point.time_ms)
            top = scale.y(point.energy_wh * MS_PER_HOUR / device.interval_ms)
            parts.append(f"M{left:.1f} {base:.1f}V{top:.1f}H{right:.1f}V{base:.1f}Z")
    return "".join(parts)


def _plate(device: DeviceSummary, scale: Scale) -> Iterator[str]:
    if not rating_shown(device):
        return
    y = scale.y(device.rated_power_w)
    yield element(
        "line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke="var(--soft)", stroke_dasharray="6 4"
    )


def _line(device: DeviceSummary, scale: Scale) -> str:
    """Through the middle of each interval; lifted where rows are missing."""
    parts: list[str] = []
    previous: int | None = None
    for point in device.points:
        value = watts(point)
        if value is None:
            previous = None
            continue
        near = previous is not None and point.time_ms - previous <= device.interval_ms * 3 // 2
        parts.append(
            f"{'L' if near else 'M'}{scale.x(point.time_ms - device.interval_ms // 2):.1f} {scale.y(value):.1f}"
        )
        previous = point.time_ms
    return "".join(parts)


def runs(device: DeviceSummary) -> Iterator[tuple[TelemetryPoint, TelemetryPoint]]:
    """First and last row of each unbroken run of one status other than ok."""
    first: TelemetryPoint | None = None
    for point, following in pairwise((*device.points, None)):
        if point is None or point.status is RowStatus.OK:
            continue
        first = first or point
        unbroken = following is not None and following.time_ms - point.time_ms <= device.interval_ms * 3 // 2
        if not unbroken or following is None or following.status is not point.status:
            yield first, point
            first = None


def _rug(device: DeviceSummary, scale: Scale) -> Iterator[str]:
    for first, last in runs(device):
        left, right = scale.x(first.time_ms - device.interval_ms), scale.x(last.time_ms)
        colour = _COLOURS[first.status]
        span = (
            f"{minute(first.time_ms, device.utc_offset_minutes)} to {minute(last.time_ms, device.utc_offset_minutes)}"
        )
        tip = element("title", escape(f"{first.status.value}: {span}"))
        yield element(
            "rect",
            tip,
            x=f"{left:.1f}",
            y=RUG,
            width=f"{max(right - left, 1.6):.1f}",
            height=RUG_HEIGHT,
            fill=f"var(--{colour})",
        )


def _crosses(device: DeviceSummary, scale: Scale) -> Iterator[str]:
    for point in device.points:
        value = watts(point)
        if point.status is not RowStatus.REFUSED or value is None:
            continue
        x, y = scale.x(point.time_ms - device.interval_ms // 2), scale.y(value)
        tip = f"refused: {minute(point.time_ms, device.utc_offset_minutes)}, {point.raw_power_w} W, {', '.join(point.rules)}"
        mark = element(
            "path", d=f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10", stroke="var(--refused)", stroke_width="2.4"
        )
        yield element("g", element("title", escape(tip)) + mark)


def _days(device: DeviceSummary, scale: Scale) -> Iterator[str]:
    midnights = list(_midnights(scale, device.utc_offset_minutes))
    edges = [scale.start_ms, *midnights, scale.end_ms]
    for at in midnights:
        x = f"{scale.x(at):.1f}"
        yield element("line", x1=x, x2=x, y1=TOP, y2=RUG + RUG_HEIGHT + 6, stroke="var(--line)")
    for start, end in pairwise(edges):
        if scale.x(end) - scale.x(start) >= MIN_DAY_WIDTH:
            middle: datetime = clock((start + end) // 2, device.utc_offset_minutes)
            yield _text((scale.x(start) + scale.x(end)) / 2, DAY_LABELS, f"{middle.day} {middle:%b}", anchor="middle")
    year = f"{clock(scale.start_ms, device.utc_offset_minutes):%Y}, {offset_name(device.utc_offset_minutes)}"
    yield _text(LEFT, DAY_LABELS + 17, year, colour="var(--soft)")


def _midnights(scale: Scale, offset_minutes: int) -> Iterator[int]:
    """Strictly inside the time axis."""
    start = clock(scale.start_ms, offset_minutes)
    day = datetime(start.year, start.month, start.day) + timedelta(days=1)  # noqa: DTZ001 - wall-clock arithmetic
    at = scale.start_ms + (day - start) // timedelta(milliseconds=1)
    while at < scale.end_ms:
        yield at
        at += MS_PER_DAY


def _text(x: float, y: float, content: str, *, anchor: str = "start", colour: str = "var(--ink)") -> str:
    return element("text", escape(content), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, style=f"fill:{colour}")
