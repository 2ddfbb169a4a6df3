"""Rule packs: strict to read, dated to use."""

from __future__ import annotations

import datetime

import pytest

from compliance.evidence.rules import Rule, load_rule_pack
from compliance.export import gate as export_gate
from compliance.transfer import gate as transfer_gate
from lianqiao_base.errors import Rejected

HEAD = 'name = "p"\nversion = "1"\n'
RULE = (
    '[[rule]]\nrule_id = "R-1"\ntext = "t"\nsource = "s"\narticle = "1"\neffective_from = 2026-01-01\n'
    'effective_to = 2026-01-31\nevidence = "SRC"\nparams = { n = 5, t = "x", l = ["a"] }\n'
)


def ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def test_reads_and_hashes() -> None:
    pack = load_rule_pack((HEAD + RULE).encode())
    assert pack.ref.name == "p"
    assert pack.ref.sha256 != load_rule_pack((HEAD + RULE + "# x\n").encode()).ref.sha256
    rule = pack.rules[0]
    assert (rule.integer("n"), rule.text_param("t"), rule.texts("l")) == (5, "x", ("a",))
    assert rule.citation == "s, 1 [SRC]"


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("2025-12-31T23:59:59+08:00", False),
        ("2026-01-01T00:00:00+08:00", True),
        ("2026-01-31T23:59:59+08:00", True),
        ("2026-02-01T00:00:00+08:00", False),
    ],
)
def test_in_force_by_local_days(moment: str, found: bool) -> None:
    pack = load_rule_pack((HEAD + RULE).encode())
    assert (pack.in_force("R-1", ms(moment)) is not None) is found
    assert pack.in_force("R-2", ms(moment)) is None


def test_the_period_in_force_is_chosen() -> None:
    later = RULE.replace("2026-01-01", "2026-02-01").replace("2026-01-31", "2026-02-27").replace("n = 5", "n = 6")
    pack = load_rule_pack((HEAD + later + RULE).encode())
    values = [pack.in_force("R-1", ms(f"2026-0{month}-15T00:00:00+08:00")) for month in (1, 2)]
    assert [rule.integer("n") for rule in values if rule] == [5, 6]


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        RULE,
        HEAD + RULE + "extra = 1\n",
        HEAD + RULE.replace('source = "s"\n', ""),
        HEAD + RULE.replace('source = "s"', 'source = ""'),
        HEAD + RULE.replace('"SRC"', '"SURE"'),
        HEAD + RULE.replace("2026-01-31", "2025-01-31"),
        HEAD + RULE + RULE,
        HEAD + RULE + RULE.replace("2026-01-01", "2026-01-31").replace("effective_to = 2026-01-31\n", ""),
        HEAD + RULE.replace("R-1", "r 1"),
        HEAD + 'sha256 = "00"\n' + RULE,
        HEAD + RULE + "[[",
    ],
)
def test_bad_packs_are_refused(text: str) -> None:
    with pytest.raises(Rejected, match="RULE_PACK_INVALID"):
        load_rule_pack(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Rejected, match="RULE_PACK_INVALID"):
        load_rule_pack(b"\xff\xfe")


def test_parameters_have_their_types() -> None:
    rule = load_rule_pack((HEAD + RULE).encode()).rules[0]
    wrong: list[tuple[object, str]] = [
        (Rule.integer, "t"),
        (Rule.text_param, "n"),
        (Rule.texts, "t"),
        (Rule.integer, "?"),
    ]
    for read, name in wrong:
        with pytest.raises(Rejected, match="RULE_PACK_INVALID"):
            read(rule, name)  # type: ignore[operator]
    negative = load_rule_pack((HEAD + RULE.replace("n = 5", "n = -5")).encode()).rules[0]
    with pytest.raises(Rejected, match="RULE_PACK_INVALID"):
        negative.integer("n")


def test_shipped_packs_load_and_name_their_doubts() -> None:
    for pack in (export_gate.default_rules(), transfer_gate.default_rules()):
        assert len(pack.ref.sha256) == 32
        for rule in pack.rules:
            assert rule.uncertain or rule.evidence in {"RUN", "SRC"}, rule.rule_id
            assert not rule.uncertain or "uncertain" in rule.citation
