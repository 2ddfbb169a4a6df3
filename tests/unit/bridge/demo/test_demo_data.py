"""The measured series: what is read, how it is rounded, and what the ledger's rules make of it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from demo_sample import judged

from bridge.demo import data
from bridge.demo.data import (
    DataSetError,
    DeviceSeries,
    batches,
    load_all,
    load_inverter_7539,
    load_rsf_ii,
    load_serf_west,
    to_reading,
)
from bridge.demo.model import RowStatus
from bridge.demo.summary import summarise
from mainland_chain.records.reading import FLAG_MISSING_CHANNEL, FLAG_SUBSTITUTED, decode_reading

QUARTER = 900_000


@pytest.mark.parametrize(
    ("power", "irradiance", "energy", "watts", "light", "flags"),
    [
        ("2", "1.5", 0, 2, 2, 0),  # 0.5 Wh and 1.5 W/m2: half goes to the even neighbour
        ("6", "2.5", 2, 6, 2, 0),
        ("10.5", "0", 3, 10, 0, 0),
        ("-9.05", "-1.9775", 0, -9, 0, FLAG_SUBSTITUTED),
        ("4", None, 1, 4, 0, FLAG_MISSING_CHANNEL),
        ("0.1", "-0.0001", 0, 0, 0, FLAG_SUBSTITUTED),
    ],
)
def test_rounding_is_half_to_even_and_flags_say_what_was_replaced(
    power: str, irradiance: str | None, energy: int, watts: int, light: int, flags: int
) -> None:
    value = None if irradiance is None else Decimal(irradiance)
    reading = to_reading(7, 1_000, Decimal(power), value, QUARTER)
    assert reading == (7, 1_000, energy, watts, light, flags)
    assert decode_reading(reading.encode()) == reading


def test_energy_comes_from_the_text_of_the_file_not_from_the_rounded_power() -> None:
    row = load_rsf_ii().rows[48]
    assert (row.line, row.power_text, row.irradiance_text) == (50, "111.9081", "378.4181")
    assert row.power_w == Decimal("111908.1")
    assert row.reading is not None
    assert row.reading[2:] == (27_977, 111_908, 378, 0)


def test_naive_times_are_read_as_seven_hours_behind_utc() -> None:
    first, last = load_rsf_ii().rows[0], load_rsf_ii().rows[-1]
    assert first.time_ms == 1_641_106_800_000  # 2022-01-02 07:00 UTC
    assert last.time_ms - first.time_ms == 479 * QUARTER
    assert load_inverter_7539().rows[0].time_ms == 1_491_851_700_000  # 2017-04-10 19:15 UTC


@pytest.mark.parametrize("series", load_all(), ids=lambda s: s.device_id)
def test_every_row_is_kept_and_sequences_and_times_rise(series: DeviceSeries) -> None:
    assert [row.line for row in series.rows] == list(range(2, len(series.rows) + 2))
    assert [r.sequence for r in series.readings] == list(range(1, len(series.readings) + 1))
    times = [row.time_ms for row in series.rows]
    assert times == sorted(set(times))


@pytest.mark.parametrize("series", load_all(), ids=lambda s: s.device_id)
def test_provenance_pins_the_installed_file(series: DeviceSeries) -> None:
    spec = find_spec("pvanalytics")
    assert spec is not None and spec.origin is not None
    content = (Path(spec.origin).parent / "data" / series.provenance.file).read_bytes()
    assert series.provenance.sha256 == hashlib.sha256(content).hexdigest()
    text = series.provenance.text()
    for part in (series.provenance.file, series.provenance.sha256, "pvanalytics 0.2.2", "MIT", "documentation"):
        assert part in text


def test_assumed_ratings_are_called_assumed() -> None:
    assert "rating assumed" in load_serf_west().provenance.rating
    assert "rating assumed" in load_inverter_7539().provenance.rating


def test_faults_of_the_logger_are_counted_not_asserted() -> None:
    text = load_serf_west().provenance.text()
    assert "das_temperature__785 equals AC power in 480 of 480 rows" in text
    assert "ac_current__779 is 0 in 226 rows with positive power" in text


@pytest.mark.parametrize(
    ("series", "rows", "flagged", "refused"),
    [
        (load_rsf_ii(), 480, 0, []),
        (load_serf_west(), 480, 304, []),
        (load_inverter_7539(), 500, 496, [36, 81, 161, 196]),
    ],
    ids=lambda v: v.device_id if isinstance(v, DeviceSeries) else None,
)
def test_what_the_ledger_flags_and_refuses(series: DeviceSeries, rows: int, flagged: int, refused: list[int]) -> None:
    flags, refusals = judged(series)
    assert (len(series.rows), len(flags), sorted(refusals)) == (rows, flagged, refused)
    assert set(refusals.values()) <= {("POWER_OUTSIDE_NAMEPLATE",)}
    points = summarise(series, flags, refusals).points
    assert len(points) == rows
    assert sum(p.status is RowStatus.REFUSED for p in points) == len(refused)
    assert all((p.energy_wh is None) == (p.status in (RowStatus.REFUSED, RowStatus.MISSING)) for p in points)


def test_refused_readings_are_among_the_labelled_outliers_and_labels_decide_nothing() -> None:
    series = load_inverter_7539()
    labelled = {r.reading.sequence for r in series.rows if r.reading and "outlier" in r.note}
    assert labelled == {36, 81, 161, 196, 201, 334}
    assert set(judged(series)[1]) < labelled  # two outliers lie within the nameplate, and pass


def test_batches_cover_every_reading_once() -> None:
    series = load_inverter_7539()
    parts = batches(series)
    assert [len(p) for p in parts] == [96, 96, 96, 96, 96, 20]
    assert tuple(r for p in parts for r in p) == series.readings
    with pytest.raises(ValueError, match="at least one"):
        batches(series, 0)


@pytest.mark.parametrize("text", ["", " ", "nan", "inf", "-Infinity", "n/a"])
def test_a_row_without_power_has_no_reading_and_takes_no_sequence_number(text: str) -> None:
    records = tuple({"t": str(i), "p": p, "l": "5"} for i, p in enumerate(["10", text, "12"]))
    rows = data._Table("f", "", "t", records).rows(int, "p", "l", Decimal(1))
    assert [row.reading.sequence if row.reading else None for row in rows] == [1, None, 2]
    assert rows[1].note == data.MISSING_POWER
    assert rows[1].power_text == text


def test_missing_irradiance_alone_is_flagged_not_dropped() -> None:
    rows = data._Table("f", "", "t", ({"t": "0", "p": "10", "l": ""},)).rows(int, "p", "l", Decimal(1))
    assert rows[0].reading is not None
    assert rows[0].reading.flags == FLAG_MISSING_CHANNEL
    assert rows[0].note == data.MISSING_IRRADIANCE


def test_a_missing_file_or_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataSetError, match=r"no data file absent\.csv"):
        data._table("absent.csv")
    monkeypatch.setattr(data, "find_spec", lambda _: None)
    with pytest.raises(DataSetError, match="not installed"):
        load_all()


def test_loading_imports_no_heavy_library() -> None:
    code = "import sys; from bridge.demo.data import load_all; load_all(); print('pandas' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
