"""The report of a demo run: one HTML file that needs nothing else, on screen or in print."""

from __future__ import annotations

from html import escape

from bridge.demo.model import DemoReport
from bridge.demo.page import sections
from bridge.demo.page.devices import device_section
from bridge.demo.page.pictures import flow
from bridge.demo.page.style import CSS
from bridge.demo.page.text import element, minute, seconds

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The browser itself refuses any request of the page."""
_LEAD = (
    "Facts measured on the mainland, anchored and signed there with SM2, proven in Hong Kong by contract code. This page shows"
    " one run of it: what was anchored, what crossed the border, what was minted, and what was refused."
)
_FLOW = "Cleartext stays left of the border. Nobody to the right of it has to trust whoever carries the packets."
_TELEMETRY = (
    "Energy counted over an interval is a mean power, so each anchored interval stands as a bar on the axis of the measured power:"
    " where nothing was lost or altered, the line runs along the tops of the bars. Rows that the data set has wrong or missing are"
    " flagged or refused by the ledger's rules, and none is left out here."
)
_WALK = "Each step commits to the one before, so the last hash pins the first byte."
_MERKLE = "Recomputed while this page was written: from the leaf upwards, each node is the hash of its two children in their order."
_VISIBILITY = "Grades and masks are rules of the ledger; what Hong Kong sees follows from the export policy in force."


def render(report: DemoReport) -> str:
    """The whole page. Raises `BrokenPathError` when the Merkle path does not end at the root it names."""
    parts = _sections(report)
    navigation = "".join(element("a", title, href=f"#{name}") for name, title, _ in parts)
    body = "".join(
        element("section", _heading(number, title) + content, id=name)
        for number, (name, title, content) in enumerate(parts, start=1)
    )
    head = "".join(
        (
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            element("title", f"Lianqiao 链桥, run of {minute(report.created_ms)} UTC"),
            element("style", CSS),
        )
    )
    page = _header(report, navigation) + element("main", body) + _footer()
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{page}</body></html>\n'


def _sections(report: DemoReport) -> list[tuple[str, str, str]]:
    """Name, title and content; a section with nothing to say is left out."""
    telemetry = "".join(device_section(device, i) for i, device in enumerate(report.devices))
    path = element("h3", escape(report.merkle.title)) + _note(_MERKLE) + sections.merkle_path(report.merkle)
    parts = [
        ("flow", "How the facts travelled", _note(_FLOW) + element("figure", _picture(flow(report.flow)))),
        ("telemetry", "Measured and anchored", _note(_TELEMETRY) + telemetry if report.devices else ""),
        ("walk", "The walk of one reading", _note(_WALK) + sections.walk(report.walk) + path if report.walk else path),
        ("claims", "What crossed the border", sections.claims(report.claims) if report.claims else ""),
        (
            "visibility",
            "What each zone could see",
            _note(_VISIBILITY) + sections.visibility(report.visibility) if report.visibility else "",
        ),
        ("gas", "Gas by step", sections.gas(report.gas) if report.gas else ""),
        ("time", "Time by stage", sections.stages(report.stages) if report.stages else ""),
        ("refusals", "What was refused, and why", sections.refusals(report.refusals) if report.refusals else ""),
        ("limits", "What this run does not show", sections.limits(report.limits) if report.limits else ""),
        ("identities", "Identities", sections.details(report.details) if report.details else ""),
    ]
    return [part for part in parts if part[2]]


def _header(report: DemoReport, navigation: str) -> str:
    meta = f"{minute(report.created_ms)} UTC, {seconds(report.duration_ms)}"
    if report.version:
        meta += f", version {report.version}"
    return element(
        "header",
        element("h1", 'Lianqiao <span lang="zh">链桥</span>')
        + element("p", _LEAD, class_="lead")
        + element("p", escape(meta), class_="meta")
        + sections.facts(report.facts)
        + element("nav", navigation, aria_label="Sections"),
    )


def _footer() -> str:
    text = "Check it yourself, offline: lianqiao verify demo-output/bundle.json. Hashes on this page are shown in part; hover or open"
    return element("footer", element("div", f"{escape(text)} the details for the whole value."))


def _heading(number: int, title: str) -> str:
    return element("h2", element("span", str(number), class_="number") + title)


def _note(text: str) -> str:
    return element("p", escape(text))


def _picture(svg: str) -> str:
    return element("div", svg, class_="picture")
