"""The two drawn pictures: the flow of the run, and the Merkle path of one claim."""

from __future__ import annotations

from html import escape

from bridge.demo.model import FlowFigures, MerklePicture
from bridge.demo.page.text import element, short, wrapped
from mainland_chain.log.hashing import KECCAK, SM3

BOX, GAP, EDGE = 184, 38, 14
FIGURE_COLUMNS = 21
"""Of a 13-unit sans serif line inside a box; wide fonts included."""
FLOW_WIDTH = 2 * EDGE + 5 * BOX + 4 * GAP
NODE, LEVEL = 232, 84
TREE_WIDTH = 820


class BrokenPathError(ValueError):
    """The siblings do not lead from the leaf to the root, so there is nothing true to draw."""


def flow(figures: FlowFigures) -> str:
    """Five stations from the devices to the auditor, in their zones, with the figures of the run."""
    stations = (
        ("Devices", "sign readings with SM2", figures.devices, "mainland"),
        ("Mainland ledger", "blocks and export log", figures.ledger, "mainland"),
        ("Border", "verified, then through", figures.border, "border"),
        ("Hong Kong L2", "light client, mint, token", figures.layer2, "hong-kong"),
        ("Auditor", "verifies it all offline", figures.auditor, "soft"),
    )
    travels = ("signed readings", "claims and certificates", "proven facts, orders", "evidence bundle")
    lines = [wrapped(s[2], FIGURE_COLUMNS) for s in stations]
    tall = 74 + 17 * max(map(len, lines))
    height = 58 + tall + 66
    names = ", then ".join(f"{title} ({figure})" for title, _, figure, _ in stations)
    parts = [
        element("title", "How facts travel in this run", id="flow-title"),
        element("desc", escape(f"From left to right: {names}."), id="flow-desc"),
        _zone(0, 1, "Mainland zone: cleartext records", "mainland", tall),
        _zone(3, 3, "Hong Kong zone", "hong-kong", tall),
    ]
    for place, (station, figure) in enumerate(zip(stations, lines, strict=True)):
        parts.append(_station(place, station[0], station[1], station[3], figure, tall))
    for place, what in enumerate(travels):
        parts.append(_arrow(place, what, tall))
    return element(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {FLOW_WIDTH} {height}",
        role="img",
        aria_labelledby="flow-title flow-desc",
        font_size="13",
    )


def _left(place: int) -> int:
    return EDGE + place * (BOX + GAP)


def _zone(first: int, last: int, name: str, colour: str, tall: int) -> str:
    left = _left(first) - EDGE
    width = _left(last) + BOX + EDGE - left
    band = element("rect", x=left, y=16, width=width, height=tall + 54, rx=5, fill=f"var(--{colour}-wash)")
    return band + _text(left + EDGE, 39, name, size=13, colour=f"var(--{colour})", weight=600)


def _station(place: int, title: str, subtitle: str, colour: str, figure: list[str], tall: int) -> str:
    left = _left(place)
    parts = [
        element(
            "rect",
            x=left,
            y=54,
            width=BOX,
            height=tall,
            rx=3,
            fill="var(--card)",
            stroke=f"var(--{colour})",
            stroke_width="1.3",
        ),
        element("rect", x=left, y=54, width=BOX, height=4, fill=f"var(--{colour})"),
        _text(left + 13, 83, title, size=16, weight=600),
        _text(left + 13, 102, subtitle, size=12, colour="var(--soft)"),
    ]
    parts += [_text(left + 13, 129 + 17 * i, line, size=13) for i, line in enumerate(figure)]
    return "".join(parts)


def _arrow(place: int, what: str, tall: int) -> str:
    """The arrow crosses the gap; its label hangs below, where there is room for words."""
    start, end = _left(place) + BOX, _left(place + 1)
    y, middle, below = 54 + tall / 2, (start + end) / 2, 54 + tall + 16
    shaft = element("path", d=f"M{start + 4} {y}H{end - 11}", stroke="var(--ink)", stroke_width="1.6")
    head = element("path", d=f"M{end - 12} {y - 5}L{end - 3} {y}L{end - 12} {y + 5}Z", fill="var(--ink)")
    leader = element(
        "path", d=f"M{middle} {y + 9}V{below + 12}", stroke="var(--soft)", stroke_width="1", stroke_dasharray="1 4"
    )
    label = _text(middle, below + 30, what, size=12.5, colour="var(--soft)", anchor="middle")
    return shaft + head + leader + label


def merkle(picture: MerklePicture) -> str:
    """The path from leaf (below) to root (above): its own nodes in the middle, the given siblings at their true side."""
    nodes = path_nodes(picture)
    depth = len(picture.siblings)
    height = depth * LEVEL + 70
    middle = TREE_WIDTH / 2
    alone = " It is the only leaf, so its hash is the root." if not depth else ""
    parts = [
        element("title", escape(picture.title), id="merkle-title"),
        element(
            "desc",
            escape(
                f"Leaf {picture.index} of a tree of {picture.size} leaves, combined with {depth} sibling hashes, gives the root"
                f" {short(picture.root)}.{alone}"
            ),
            id="merkle-desc",
        ),
    ]
    for level, (side, sibling) in enumerate(picture.siblings):
        y = height - 60 - level * LEVEL
        other = middle + (-1 if side == "left" else 1) * 280
        parts.append(
            element(
                "path", d=f"M{middle} {y}V{y - LEVEL + 44}", stroke="var(--mainland)", stroke_width="2.4", fill="none"
            )
            + element(
                "path", d=f"M{other} {y}V{y - 20}H{middle}", stroke="var(--soft)", stroke_width="1.2", fill="none"
            )
        )
        parts.append(
            _node(other, y, f"sibling, {side}", "0x" + sibling.removeprefix("0x"), "var(--soft)", "var(--card)")
        )
    for level, value in enumerate(nodes):
        name = "node, computed"
        if level == depth:
            name = f"root of {picture.size} leaves" if depth else f"leaf {picture.index} and root"
        elif level == 0:
            name = f"leaf {picture.index}"
        ends = level in (0, depth)
        fill = "var(--mainland-wash)" if ends else "var(--card)"
        parts.append(_node(middle, height - 60 - level * LEVEL, name, value, "var(--mainland)", fill))
    return element(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {TREE_WIDTH} {height}",
        role="img",
        aria_labelledby="merkle-title merkle-desc",
        font_size="13",
    )


def path_nodes(picture: MerklePicture) -> tuple[str, ...]:
    """Leaf, every computed node, root. Raises `BrokenPathError` when they do not meet."""
    hashing = SM3 if picture.algorithm == "sm3" else KECCAK
    nodes = [_bytes(picture.leaf)]
    for side, sibling in picture.siblings:
        own, other = nodes[-1], _bytes(sibling)
        nodes.append(hashing.node(other, own) if side == "left" else hashing.node(own, other))
    if nodes[-1] != _bytes(picture.root):
        raise BrokenPathError(
            f"the path of leaf {picture.index} ends at {nodes[-1].hex()}, not at the root {picture.root}"
        )
    return tuple("0x" + node.hex() for node in nodes)


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _node(middle: float, y: float, name: str, value: str, colour: str, fill: str) -> str:
    box = element(
        "rect", x=middle - NODE / 2, y=y, width=NODE, height=44, rx=3, fill=fill, stroke=colour, stroke_width="1.3"
    )
    code = element(
        "text",
        escape(short(value)),
        x=middle,
        y=y + 36,
        text_anchor="middle",
        font_size="13",
        class_="hash",
    )
    return element(
        "g", element("title", escape(value)) + box + _text(middle, y + 18, name, 12.5, "var(--soft)", "middle") + code
    )


def _text(
    x: float,
    y: float,
    content: str,
    size: float = 13,
    colour: str = "var(--ink)",
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return element(
        "text",
        escape(content),
        x=x,
        y=y,
        font_size=size,
        text_anchor=anchor,
        font_weight=weight,
        style=f"fill:{colour}",
    )
