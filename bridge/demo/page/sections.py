"""The remaining sections of the page, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bridge.demo.model import ClaimRow, GasRow, MerklePicture, RefusalRow, StageTime, VisibilityRow, WalkStep
from bridge.demo.page.pictures import merkle
from bridge.demo.page.text import element, grouped, is_hash, seconds, short, shown, table

_ZONES = {"mainland": "mainland", "border": "border", "hong_kong": "Hong Kong"}
_NOTHING = frozenset({"", "nothing", "none", "no", "never", "-", "–"})
LONG_FACT = 9
"""Characters after which a headline value is set smaller."""


def facts(rows: Sequence[tuple[str, str]]) -> str:
    cells = []
    for label, value in rows:
        size = "figure long" if len(value) > LONG_FACT else "figure"
        cells.append(element("div", element("dt", escape(label)) + element("dd", escape(value), class_=size)))
    return element("dl", "".join(cells), class_="facts")


def walk(steps: Sequence[WalkStep]) -> str:
    return element("ol", "".join(map(_step, steps)), class_="walk")


def _step(step: WalkStep) -> str:
    head = element("h3", escape(step.title) + element("small", _ZONES[step.zone]))
    parts = [head, element("p", escape(step.explanation))]
    if step.values:
        parts.append(_values(step.values))
    long = [(name, value) for name, value in step.values if is_hash(value) and short(value) != value]
    if long:
        full = "".join(element("dt", escape(n)) + element("dd", element("code", escape(v))) for n, v in long)
        parts.append(element("details", element("summary", "Full values") + element("dl", full, class_="values full")))
    return element("li", "".join(parts), class_=step.zone)


def _values(values: Sequence[tuple[str, str]]) -> str:
    return element(
        "dl", "".join(element("dt", escape(n)) + element("dd", shown(v)) for n, v in values), class_="values"
    )


def merkle_path(picture: MerklePicture) -> str:
    figure = element("div", merkle(picture), class_="picture tree")
    head = ("Step", "Side", "Hash")
    rows = [("leaf", "", _code(picture.leaf))]
    rows += [(f"sibling {i}", side, _code(value)) for i, (side, value) in enumerate(picture.siblings, start=1)]
    rows.append(("root", "", _code(picture.root)))
    full = element("details", element("summary", "The path in full") + table(head, rows))
    return element("figure", figure) + full


def visibility(rows: Sequence[VisibilityRow]) -> str:
    def cell(text: str) -> str:
        kind = "quiet" if text.strip().lower() in _NOTHING else ""
        return element("span", escape(text or "–"), class_=kind) if kind else escape(text)

    def grade(text: str) -> str:
        first = text.split(" ")[0].lower()
        colour = first if first in {"high", "medium", "low"} else "quiet"
        return element("span", escape(text), class_=f"pill {colour}")

    body = (
        (
            element("span", escape(r.field), class_="strong"),
            grade(r.grade),
            *map(cell, (r.owner, r.other_member, r.regulator, r.hong_kong)),
        )
        for r in rows
    )
    return table(("Field", "Grade", "Mainland owner", "Other member", "Regulator", "Hong Kong"), body)


def claims(rows: Sequence[ClaimRow]) -> str:
    """One group of rows per claim."""
    groups = []
    for claim in rows:
        fields = claim.fields or (("–", "–"),)
        lines = []
        for i, (name, value) in enumerate(fields):
            head = ""
            if i == 0:
                span = len(fields)
                head = element("td", element("span", escape(claim.kind), class_="strong"), rowspan=span)
                head += element("td", str(claim.log_index), rowspan=span, class_="n")
            lines.append(element("tr", head + element("td", escape(name)) + element("td", shown(value))))
        groups.append(element("tbody", "".join(lines), class_="group"))
    head = "".join(
        element("th", t, scope="col") for t in ("Claim", "Log index", "Exported field", "Value as it crossed")
    )
    head = head.replace('<th scope="col">Log', '<th class="n" scope="col">Log')
    return element(
        "div", element("table", element("thead", element("tr", head)) + "".join(groups)), class_="scroll", tabindex=0
    )


def gas(rows: Sequence[GasRow]) -> str:
    most = max((r.gas for r in rows), default=0)
    body = [(escape(r.step), _bar(r.gas, most), grouped(r.gas), shown(r.tx_hash)) for r in rows]
    total = (element("strong", "total"), "", element("strong", grouped(sum(r.gas for r in rows))), "")
    content = table(("Step", "", "Gas", "Transaction"), [*body, total], numeric=(2,))
    return element("div", content, class_="gas")


def stages(rows: Sequence[StageTime]) -> str:
    most = max((r.ms for r in rows), default=0)
    body = [(escape(r.name), _bar(r.ms, most), seconds(r.ms)) for r in rows]
    total = (element("strong", "total"), "", element("strong", seconds(sum(r.ms for r in rows))))
    return table(("Stage", "", "Time"), [*body, total], numeric=(2,))


def refusals(rows: Sequence[RefusalRow]) -> str:
    body = (
        (
            escape(r.what),
            escape(r.gate),
            element("code", escape(r.code), class_="code refused"),
            escape(r.message),
        )
        for r in rows
    )
    return element("div", table(("What was tried", "Refused by", "Code", "Reason given"), body), class_="refusals")


def limits(rows: Sequence[str]) -> str:
    return element("ul", "".join(element("li", escape(r)) for r in rows), class_="limits")


def details(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        element("dt", escape(n)) + element("dd", element("code", escape(v)) if is_hash(v) else escape(v))
        for n, v in rows
    )
    return element("dl", body, class_="values")


def _bar(value: int, most: int) -> str:
    width = 100 * value / most if most else 0
    bar = element("div", "", class_="bar", style=f"width:{width:.1f}%")
    return element("div", bar, class_="track", aria_hidden="true")


def _code(value: str) -> str:
    return element("code", escape(value), class_="code")
