"""An aggregate must cover several readings: of one reading, sum and extreme are the reading itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lianqiao_base.errors import Rejected
from mainland_chain.export.policy import FieldRule, check_policy
from mainland_chain.export.transforms import aggregate
from mainland_chain.light.claims import Transform
from tests.support.world import RULES, World


@pytest.mark.parametrize("transform", [Transform.SUM, Transform.MIN, Transform.MAX])
@pytest.mark.parametrize(("least", "ok"), [(0, False), (1, False), (2, True), (96, True)])
def test_a_policy_cannot_let_single_readings_out(transform: Transform, least: int, ok: bool) -> None:
    rule = FieldRule("telemetry", "power_w", transform, least)
    rules = tuple(rule if r.field == "power_w" else r for r in RULES)
    policy = replace(World().policy(), rules=rules)
    if ok:
        check_policy(policy)
    else:
        with pytest.raises(Rejected, match="POLICY_RULE"):
            check_policy(policy)


def test_fewer_readings_than_the_rule_asks_for_are_refused() -> None:
    rule = FieldRule("telemetry", "power_w", Transform.MAX, 3)
    assert aggregate(rule, [1, 5, 2]) == 5
    with pytest.raises(Rejected, match="INTERVAL_TOO_SMALL"):
        aggregate(rule, [1, 5])
