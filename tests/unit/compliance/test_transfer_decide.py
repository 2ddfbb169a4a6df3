"""The transfer decision, check by check."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from compliance.evidence.model import Decision
from compliance.evidence.policy import AllOf
from compliance.transfer.decide import decide
from compliance.transfer.gate import default_rules
from compliance.transfer.model import ScreeningSettings, TransferOrder, UnitPrice
from lianqiao_base.errors import Rejected

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
LISTED = bytes.fromhex("cc" * 20)
CHEAP = UnitPrice("HKD", 7_999, NOW_MS)  # 100 units: HKD 7,999.00


def blame(context: Any) -> tuple[Decision, list[tuple[str, str]]]:
    decision, findings = decide(context)
    return decision, [(f.rule_id, f.path) for f in findings if f.severity is not Decision.ALLOW]


def test_a_good_order_is_allowed(transfer_context: Any) -> None:
    decision, findings = decide(transfer_context())
    assert decision is Decision.ALLOW
    assert [f.rule_id for f in findings] == [
        "ORDER-DEADLINE",
        "HK-SANCTIONS",
        "HK-SANCTIONS",
        "HK-TR-VALUE",
        "HK-TR-FULL",
        "HK-TR-WALLET",
        "IVMS-FORM",
    ]


def test_no_policies_deny(transfer_context: Any) -> None:
    assert decide(transfer_context(), AllOf(()))[0] is Decision.DENY


def test_deadline(transfer_context: Any, order: Any) -> None:
    late = order(deadline=NOW_MS // 1000)
    assert blame(transfer_context(order=late)) == (Decision.DENY, [("ORDER-DEADLINE", "order.deadline")])
    assert blame(transfer_context(order=order(deadline=NOW_MS // 1000 + 1)))[0] is Decision.ALLOW


def test_issuer_and_recipient_are_screened(
    transfer_context: Any, order: Any, identity_json: dict[str, Any], read_identity: Any
) -> None:
    assert blame(transfer_context(order=order(issuer=LISTED))) == (Decision.DENY, [("HK-SANCTIONS", "order.issuer")])
    identity_json["beneficiary"]["beneficiaryPerson"][0]["accountNumber"] = ["0x" + LISTED.hex()]
    context = transfer_context(order=order(recipient=LISTED), identity=read_identity(identity_json))
    assert blame(context) == (Decision.DENY, [("HK-SANCTIONS", "order.recipient")])


def test_lists_must_be_there_fresh_and_real(transfer_context: Any, sanctions: Any) -> None:
    both = [("HK-SANCTIONS", "order.recipient"), ("HK-SANCTIONS", "order.issuer")]
    assert blame(transfer_context(lists=())) == (Decision.HOLD, both)
    assert blame(transfer_context(screening=ScreeningSettings(1))) == (Decision.HOLD, both)
    sample = dataclasses.replace(sanctions, sample=True)
    assert blame(transfer_context(lists=(sample,))) == (Decision.HOLD, both)


def test_deny_dominates_hold_dominates_needs_info(transfer_context: Any, order: Any) -> None:
    assert blame(transfer_context(identity=None))[0] is Decision.NEEDS_INFO
    assert blame(transfer_context(identity=None, lists=()))[0] is Decision.HOLD
    assert blame(transfer_context(identity=None, lists=(), order=order(deadline=1)))[0] is Decision.DENY


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (None, "price"),
        (UnitPrice("USD", 10_000, NOW_MS), "price.currency"),
        (UnitPrice("HKD", 10_000, NOW_MS + 1), "price.as_of_ms"),
        (UnitPrice("HKD", 10_000, NOW_MS - 72 * HOUR_MS - 1), "price.as_of_ms"),
    ],
)
def test_price_is_known_in_hkd_and_recent(transfer_context: Any, given: UnitPrice | None, path: str) -> None:
    assert blame(transfer_context(price=given)) == (Decision.NEEDS_INFO, [("HK-TR-VALUE", path)])


def test_price_at_the_edge_of_age(transfer_context: Any) -> None:
    assert blame(transfer_context(price=UnitPrice("HKD", 10_000, NOW_MS - 72 * HOUR_MS)))[0] is Decision.ALLOW


@pytest.mark.parametrize(
    ("given", "rule", "decision"),
    [
        (UnitPrice("HKD", 8_000, NOW_MS), "HK-TR-FULL", Decision.NEEDS_INFO),  # exactly HKD 8,000.00
        (UnitPrice("HKD", 7_999, NOW_MS), "HK-TR-BASIC", Decision.ALLOW),
        (None, "HK-TR-FULL", Decision.NEEDS_INFO),  # no price: the fuller set
    ],
)
def test_threshold_is_not_less_than(
    transfer_context: Any,
    identity_json: dict[str, Any],
    read_identity: Any,
    given: UnitPrice | None,
    rule: str,
    decision: Decision,
) -> None:
    issuer = identity_json["originator"]["originatorPerson"][0]["legalPerson"]
    issuer.pop("geographicAddress")
    issuer.pop("nationalIdentification")
    result, findings = decide(transfer_context(price=given, identity=read_identity(identity_json)))
    assert result is decision
    seen = [f for f in findings if f.rule_id == rule]
    assert len(seen) == 1
    if decision is Decision.NEEDS_INFO:
        assert seen[0].path.startswith("originator.originatorPerson[0].legalPerson.(geographicAddress[GEOG]|")
        assert "[2ND, uncertain]" in seen[0].evidence


@pytest.mark.parametrize("price", [UnitPrice("HKD", 10_000, NOW_MS), CHEAP])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r: r.pop("originator"), "originator.originatorPerson[0]"),
        (lambda r: r.pop("beneficiary"), "beneficiary.beneficiaryPerson[0]"),
        (lambda r: r.pop("originatingVASP"), "originatingVASP.originatingVASP"),
        (lambda r: r.pop("beneficiaryVASP"), "beneficiaryVASP.beneficiaryVASP"),
        (
            lambda r: r["originator"]["originatorPerson"][0].pop("accountNumber"),
            "originator.originatorPerson[0].accountNumber",
        ),
        (
            lambda r: r["beneficiary"]["beneficiaryPerson"][0].pop("accountNumber"),
            "beneficiary.beneficiaryPerson[0].accountNumber",
        ),
        (
            lambda r: r["originator"]["originatorPerson"][0]["legalPerson"].pop("name"),
            "originator.originatorPerson[0].legalPerson.name.nameIdentifier[LEGL]",
        ),
        (
            lambda r: r["beneficiary"]["beneficiaryPerson"][0]["naturalPerson"].pop("name"),
            "beneficiary.beneficiaryPerson[0].naturalPerson.name.nameIdentifier[LEGL]",
        ),
        (
            lambda r: r["originatingVASP"]["originatingVASP"]["legalPerson"].pop("name"),
            "originatingVASP.originatingVASP.legalPerson.name.nameIdentifier[LEGL]",
        ),
        (
            lambda r: r["beneficiaryVASP"]["beneficiaryVASP"]["legalPerson"].pop("name"),
            "beneficiaryVASP.beneficiaryVASP.legalPerson.name.nameIdentifier[LEGL]",
        ),
    ],
)
def test_missing_data_is_named_exactly(
    transfer_context: Any, identity_json: dict[str, Any], read_identity: Any, change: Any, path: str, price: UnitPrice
) -> None:
    change(identity_json)
    decision, blamed = blame(transfer_context(identity=read_identity(identity_json), price=price))
    assert decision is Decision.NEEDS_INFO
    rule = "HK-TR-BASIC" if price is CHEAP else "HK-TR-FULL"
    assert (rule, path) in blamed


def test_no_data_at_all(transfer_context: Any) -> None:
    decision, blamed = blame(transfer_context(identity=None))
    assert decision is Decision.NEEDS_INFO
    assert blamed == [
        ("HK-TR-FULL", "identity"),
        ("HK-TR-WALLET", "beneficiary.beneficiaryPerson[0].accountNumber"),
        ("IVMS-FORM", "identity"),
    ]


def test_the_wallet_is_the_beneficiarys(
    transfer_context: Any, identity_json: dict[str, Any], read_identity: Any
) -> None:
    person = identity_json["beneficiary"]["beneficiaryPerson"][0]
    person["accountNumber"] = ["reference 7", "0x" + "ab" * 20]
    decision, blamed = blame(transfer_context(identity=read_identity(identity_json)))
    assert (decision, [rule for rule, _ in blamed]) == (Decision.HOLD, ["HK-TR-WALLET"])
    person["accountNumber"].append("0x" + "AA" * 20)
    assert blame(transfer_context(identity=read_identity(identity_json)))[0] is Decision.ALLOW


def test_a_constraint_not_met_needs_info(
    transfer_context: Any, identity_json: dict[str, Any], read_identity: Any
) -> None:
    identity_json["beneficiary"]["beneficiaryPerson"][0]["naturalPerson"]["countryOfResidence"] = "ZZ"
    decision, blamed = blame(transfer_context(identity=read_identity(identity_json)))
    assert (decision, [rule for rule, _ in blamed]) == (Decision.NEEDS_INFO, ["IVMS-FORM"])


@pytest.mark.parametrize("rule_id", ["HK-SANCTIONS", "HK-TR-VALUE", "HK-TR-FULL", "HK-TR-WALLET", "IVMS-FORM"])
def test_a_rule_not_in_force_holds(transfer_context: Any, rule_id: str) -> None:
    rules = default_rules()
    fewer = rules.model_copy(update={"rules": tuple(rule for rule in rules.rules if rule.rule_id != rule_id)})
    assert decide(transfer_context(rules=fewer))[0] is Decision.HOLD


def test_a_pack_that_asks_for_the_unknown_is_refused(transfer_context: Any) -> None:
    rules = default_rules()
    odd = tuple(
        rule.model_copy(update={"params": {**rule.params, "originator": ("shoe size",)}}) for rule in rules.rules
    )
    with pytest.raises(Rejected, match="RULE_PACK_INVALID"):
        decide(transfer_context(rules=rules.model_copy(update={"rules": odd})))


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": b"\x01"},
        {"lock_ref": b""},
        {"issuer": b"\x01" * 32},
        {"issuer": bytes(20)},
        {"recipient": bytes(20)},
        {"recipient": b""},
        {"units": 0},
        {"units": 2**64},
        {"deadline": 0},
    ],
)
def test_malformed_orders(order: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="ORDER_INVALID"):
        order(**changes)


@pytest.mark.parametrize("values", [("hkd", 1, 1), ("HK", 1, 1), ("HKD", 0, 1), ("HKD", 1, -1), ("HKD", 2**53, 1)])
def test_malformed_prices(values: tuple[str, int, int]) -> None:
    with pytest.raises(Rejected, match="PRICE_INVALID"):
        UnitPrice(*values)


def test_big_orders_are_counted_exactly(transfer_context: Any, order: Any) -> None:
    big: TransferOrder = order(units=2**63)
    assert blame(transfer_context(order=big, price=UnitPrice("HKD", 2**52, NOW_MS)))[0] is Decision.ALLOW
    assert "Chan" not in repr(transfer_context())
