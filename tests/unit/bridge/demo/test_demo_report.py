"""The page: complete, self-contained, escaped, and never drawn from a broken proof."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from demo_sample import merkle_picture, sample_report

from bridge.demo.model import DemoReport, DeviceSummary, MerklePicture, RowStatus, TelemetryPoint
from bridge.demo.page.chart import device_chart, rating_shown, runs
from bridge.demo.page.devices import MEANINGS, device_section
from bridge.demo.page.pictures import BrokenPathError, merkle, path_nodes
from bridge.demo.page.text import columns, seconds, short, shown, wrapped
from bridge.demo.report import render

_VOID = {"meta", "br", "link", "img", "hr"}
EVIL = '<script>alert(1)</script>"&'


class _Outline(HTMLParser):
    """Checks nesting, and collects ids, links and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.add(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "href":
                self.links.append(value)
            if name in ("src", "srcset", "data", "action", "xlink:href"):
                self.fetched.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report() -> DemoReport:
    return sample_report()


@pytest.fixture(scope="module")
def page(report: DemoReport) -> str:
    return render(report)


def outline(page: str) -> _Outline:
    parser = _Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_well_formed_and_fetches_nothing(page: str) -> None:
    found = outline(page)
    assert found.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert found.fetched == []
    assert all(link.startswith("#") for link in found.links)
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not re.search(r"https?://|url\(|@import", page)
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_every_picture_has_a_title_and_a_description(page: str) -> None:
    pictures = re.findall(r"<svg[^>]*>(.*?)</svg>", page, re.S)
    assert len(pictures) == 5
    for content in pictures:
        assert content.startswith("<title id=")
        assert "<desc id=" in content
    assert page.count('role="img"') == len(pictures)


def test_everything_of_the_report_is_on_the_page(page: str, report: DemoReport) -> None:
    wanted = [v for fact in report.facts for v in fact]
    wanted += [v for s in report.walk for v in (s.title, s.explanation, *(x for pair in s.values for x in pair))]
    wanted += [v for r in report.refusals for v in (r.what, r.gate, r.code, r.message)]
    wanted += [r.tx_hash for r in report.gas] + [s.name for s in report.stages] + list(report.limits)
    wanted += [v for c in report.claims for pair in c.fields for v in pair]
    wanted += [report.merkle.leaf, report.merkle.root, *(h for _, h in report.merkle.siblings)]
    wanted += [v for pair in report.details for v in pair]
    wanted += [d.provenance for d in report.devices]
    text = unescape(page)
    assert [w for w in wanted if w not in text] == []


def test_hostile_text_is_escaped_wherever_it_stands(report: DemoReport) -> None:
    device = replace(report.devices[0], title=EVIL, provenance=EVIL, nameplate=EVIL, device_id=EVIL)
    point = replace(device.points[0], status=RowStatus.REFUSED, rules=(EVIL,), note=EVIL)
    hostile = replace(
        report,
        version=EVIL,
        flow=replace(report.flow, devices=EVIL, ledger=EVIL, border=EVIL, layer2=EVIL, auditor=EVIL),
        devices=(replace(device, points=(point, *device.points[1:])),),
        facts=((EVIL, EVIL),),
        walk=(replace(report.walk[0], title=EVIL, explanation=EVIL, values=((EVIL, EVIL),)),),
        merkle=replace(report.merkle, title=EVIL),
        visibility=(replace(report.visibility[0], field=EVIL, grade=EVIL, owner=EVIL, hong_kong=EVIL),),
        claims=(replace(report.claims[0], kind=EVIL, fields=((EVIL, EVIL),)),),
        gas=(replace(report.gas[0], step=EVIL, tx_hash=EVIL),),
        stages=(replace(report.stages[0], name=EVIL),),
        refusals=(replace(report.refusals[0], what=EVIL, gate=EVIL, code=EVIL, message=EVIL),),
        limits=(EVIL,),
        details=((EVIL, EVIL),),
    )
    page = render(hostile)
    assert "<script" not in page
    assert 'alert(1)</script>"&' not in page
    assert "script" not in outline(page).tags


def test_a_long_unbroken_reason_cannot_widen_the_page(report: DemoReport) -> None:
    page = render(replace(report, refusals=(replace(report.refusals[0], message="\\x00" * 400),)))
    assert '<div class="refusals">' in page
    assert ".refusals table { table-layout: fixed" in page
    assert ".refusals td { overflow-wrap: anywhere" in page


def test_sections_with_nothing_to_say_are_left_out(report: DemoReport) -> None:
    bare = replace(
        report,
        devices=(),
        facts=(),
        walk=(),
        visibility=(),
        claims=(),
        gas=(),
        stages=(),
        refusals=(),
        limits=(),
        details=(),
    )
    assert outline(render(bare)).links == ["#flow", "#walk"]


def test_the_merkle_path_is_recomputed_for_every_leaf() -> None:
    for size in (1, 2, 3, 7, 33):
        for index in range(size):
            picture = merkle_picture(index, size)
            nodes = path_nodes(picture)
            assert (nodes[0], nodes[-1]) == (picture.leaf, picture.root)
            assert len(nodes) == len(picture.siblings) + 1
            assert picture.root in merkle(picture)


def test_a_broken_merkle_path_is_not_drawn(report: DemoReport) -> None:
    picture = merkle_picture()
    side, sibling = picture.siblings[0]
    other = "left" if side == "right" else "right"
    broken: list[MerklePicture] = [
        replace(picture, root="0x" + "00" * 32),
        replace(picture, siblings=picture.siblings[1:]),
        replace(picture, siblings=((other, sibling), *picture.siblings[1:])),
        replace(picture, algorithm="sm3"),
    ]
    for bad in broken:
        with pytest.raises(BrokenPathError):
            render(replace(report, merkle=bad))


def _device(*points: TelemetryPoint, rated: int = 0) -> DeviceSummary:
    return DeviceSummary("A meter", "made up", points, interval_ms=900_000, rated_power_w=rated)


def _point(i: int, watts: str | None, wh: int | None, status: RowStatus = RowStatus.OK) -> TelemetryPoint:
    return TelemetryPoint(
        1_641_106_800_000 + i * 900_000, watts, wh, status, () if status is RowStatus.OK else ("GAP",), line=i
    )


def test_refused_rows_are_crossed_and_have_no_bar() -> None:
    plain = device_chart(_device(_point(0, "100", 25), _point(1, "100", 25)), 0)
    refused = device_chart(_device(_point(0, "100", 25), _point(1, "100", None, RowStatus.REFUSED)), 0)
    assert (plain.count("var(--refused)"), refused.count("var(--refused)")) == (0, 2)
    assert plain.count("Z") == refused.count("Z") + 1


def test_the_line_is_lifted_over_missing_rows() -> None:
    gap = _device(
        _point(0, "100", 25), _point(1, None, None, RowStatus.MISSING), _point(2, "100", 25), _point(9, "5", 1)
    )
    line = re.findall(r'd="([^"]*)" fill="none"', device_chart(gap, 0))[0]
    assert line.count("M") == 3
    assert "var(--missing)" in device_chart(gap, 0)


def test_unbroken_runs_are_joined() -> None:
    flagged = [_point(i, "1", 0, RowStatus.FLAGGED) for i in (1, 2, 3, 7)]
    device = _device(_point(0, "1", 0), *flagged, _point(8, "9999", None, RowStatus.REFUSED))
    found = [(a.line, b.line, a.status.value) for a, b in runs(device)]
    assert found == [(1, 3, "flagged"), (7, 7, "flagged"), (8, 8, "refused")]


def test_rating_is_drawn_only_where_it_fits() -> None:
    assert rating_shown(_device(_point(0, "95", 24), rated=100))
    assert not rating_shown(_device(_point(0, "95", 24), rated=10_000))
    assert not rating_shown(_device(rated=100))


def test_charts_of_odd_series_stay_finite() -> None:
    for device in (_device(), _device(_point(0, "0", 0)), _device(_point(0, None, None, RowStatus.MISSING))):
        section = device_section(device, 0)
        assert "nan" not in section
        assert "inf" not in section.replace("info", "")


def test_days_add_up_and_show_what_was_not_anchored() -> None:
    rows = (_point(0, Decimal("4000"), 1000), _point(1, "8000", None, RowStatus.REFUSED), _point(2, "-400", 0))  # type: ignore[arg-type]
    section = device_section(_device(*rows), 0)
    cells = re.findall(r'<td class="n">(.*?)</td>', section)
    assert cells[:7] == ["3", "3.00", "1.00", "2.00", "0", "1", "0"]


def test_every_rule_of_the_series_has_words(report: DemoReport) -> None:
    used = {rule for d in report.devices for p in d.points for rule in p.rules}
    assert used and used <= set(MEANINGS)


def test_small_texts() -> None:
    assert short("0x" + "ab" * 32) == "0xabababab…abababab"
    assert short("deliver") == "deliver"
    assert 'title="0x' in shown("0x" + "ab" * 32)
    assert (seconds(999), seconds(31_400)) == ("999 ms", "31.4 s")
    assert columns("链桥 ab") == 7
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("", 4) == []
