"""Sanctions lists: strict to read, dated to use."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from compliance.evidence.model import Decision, conclude
from compliance.transfer.decide import screen
from compliance.transfer.gate import default_rules
from compliance.transfer.model import ScreeningSettings
from compliance.transfer.sanctions import MAX_LIST_BYTES, SanctionsList, load_sanctions, sample_list
from lianqiao_base.errors import Rejected

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
LISTED = bytes.fromhex("cc" * 20)
CLEAN = bytes.fromhex("aa" * 20)
SETTINGS = ScreeningSettings(max_age_days=7)


def load(raw: Any) -> SanctionsList:
    return load_sanctions(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), NOW_MS)


def look(
    address: bytes, *lists: SanctionsList, now_ms: int = NOW_MS, settings: ScreeningSettings = SETTINGS
) -> Decision:
    rule = default_rules().in_force("HK-SANCTIONS", NOW_MS)
    assert rule is not None
    return conclude(screen(address, "address", lists, settings, now_ms, rule))


def test_reads(list_json: dict[str, Any]) -> None:
    loaded = load(list_json)
    assert loaded.programs == {LISTED: "P-1"}
    assert (loaded.ref.name, loaded.ref.version) == ("sanctions:TEST", "2026-11-16")
    assert loaded.age_days(NOW_MS) == 2


def test_every_spelling_of_an_address_is_one(list_json: dict[str, Any]) -> None:
    for spelling in ("0x" + "CC" * 20, "0x" + "cc" * 20, "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"):
        list_json["entries"][0]["address"] = spelling
        assert look(LISTED, load(list_json)) is Decision.DENY


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(entries=[]),
        lambda raw: raw.update(as_of="2026-11-19", fetched="2026-11-19"),
        lambda raw: raw.update(fetched="2026-11-19"),
        lambda raw: raw.update(fetched="2026-11-15"),
        lambda raw: raw.update(as_of="yesterday"),
        lambda raw: raw.update(format="lianqiao.sanctions.v2"),
        lambda raw: raw.update(extra=1),
        lambda raw: raw.update(name=""),
        lambda raw: raw.update(sample="no"),
        lambda raw: raw.pop("evidence"),
        lambda raw: raw.pop("sample"),
        lambda raw: raw["entries"].append(raw["entries"][0]),
        lambda raw: raw["entries"][0].update(address="0x" + "cc" * 19),
        lambda raw: raw["entries"][0].update(address="0xcC" + "cc" * 19),
        lambda raw: raw["entries"][0].update(chain="bitcoin"),
        lambda raw: raw["entries"][0].update(program=""),
        lambda raw: raw["entries"][0].pop("program"),
    ],
)
def test_bad_files_are_refused(list_json: dict[str, Any], change: Any) -> None:
    change(list_json)
    with pytest.raises(Rejected, match="SANCTIONS_LIST_INVALID"):
        load(list_json)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff"])
def test_bytes_that_are_no_list(data: bytes) -> None:
    with pytest.raises(Rejected, match="SANCTIONS_LIST_INVALID"):
        load(data)


def test_too_large_is_not_even_parsed() -> None:
    with pytest.raises(Rejected, match="larger than 64 MiB"):
        load(b" " * (MAX_LIST_BYTES + 1))


def test_truncated_file_is_refused(list_json: dict[str, Any]) -> None:
    data = json.dumps(list_json).encode()
    for size in range(0, len(data), 17):
        with pytest.raises(Rejected, match="SANCTIONS_LIST_INVALID"):
            load(data[:size])


def test_hit_clean_and_no_list(sanctions: SanctionsList) -> None:
    assert look(LISTED, sanctions) is Decision.DENY
    assert look(CLEAN, sanctions) is Decision.ALLOW
    assert look(CLEAN) is Decision.HOLD


def test_age_is_bounded_on_both_sides(sanctions: SanctionsList) -> None:
    start = sanctions.as_of_ms
    assert look(CLEAN, sanctions, now_ms=start + 8 * DAY_MS - 1) is Decision.ALLOW
    assert look(CLEAN, sanctions, now_ms=start + 8 * DAY_MS) is Decision.HOLD
    assert look(CLEAN, sanctions, now_ms=start) is Decision.ALLOW
    assert look(CLEAN, sanctions, now_ms=start - 1) is Decision.HOLD


def test_one_bad_list_among_good_ones_counts(sanctions: SanctionsList) -> None:
    stale = dataclasses.replace(sanctions, as_of_ms=sanctions.as_of_ms - 30 * DAY_MS)
    other = dataclasses.replace(sanctions, programs={CLEAN: "P-2"})
    assert look(CLEAN, sanctions, stale) is Decision.HOLD
    assert look(CLEAN, sanctions, other) is Decision.DENY
    assert look(LISTED, stale) is Decision.DENY


def test_the_sample_says_so_and_serves_only_when_allowed() -> None:
    sample = sample_list(NOW_MS)
    assert sample.sample
    assert "SAMPLE" in sample.name
    assert look(CLEAN, sample, settings=ScreeningSettings(36_500)) is Decision.HOLD
    assert look(CLEAN, sample, settings=ScreeningSettings(36_500, allow_sample=True)) is Decision.ALLOW
    for address in sample.programs:
        assert look(address, sample, settings=ScreeningSettings(36_500, allow_sample=True)) is Decision.DENY
