"""The transfer decision: small policies over one context; the worst finding decides. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compliance.evidence.model import Decision, Finding, conclude
from compliance.evidence.policy import AllOf, Policy
from compliance.evidence.rules import Rule
from compliance.transfer.address import parse_address
from compliance.transfer.ivms import Person
from compliance.transfer.ivms_rules import check_form, has_legal_name, identification_fault, name_path
from compliance.transfer.model import ScreeningSettings, TransferContext
from compliance.transfer.sanctions import SanctionsList
from lianqiao_base.errors import Rejected

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class _Check:
    """A policy made of a plain function."""

    rule_id: str
    check: Callable[[TransferContext, str], tuple[Finding, ...]]

    def evaluate(self, context: TransferContext) -> tuple[Finding, ...]:
        return self.check(context, self.rule_id)


def screen(
    address: bytes, path: str, lists: tuple[SanctionsList, ...], settings: ScreeningSettings, now_ms: int, rule: Rule
) -> tuple[Finding, ...]:
    """Findings about one address: DENY for each list that names it; HOLD when there is no list, or one is stale, dated
    ahead or a
    sample that may not serve; otherwise ALLOW."""
    if not lists:
        return (Finding(rule.rule_id, Decision.HOLD, "no sanctions list is loaded", path, rule.citation),)
    findings: list[Finding] = []
    for entry in lists:
        source = f"{entry.name} as of {entry.as_of} [{entry.evidence}]"
        if address in entry.programs:
            message = f"the address is on a sanctions list ({entry.programs[address]})"
            findings.append(Finding(rule.rule_id, Decision.DENY, message, path, source))
        if not 0 <= entry.age_days(now_ms) <= settings.max_age_days:
            message = f"the list's date is not within the last {settings.max_age_days} days: refresh it"
            findings.append(Finding(rule.rule_id, Decision.HOLD, message, path, source))
        if entry.sample and not settings.allow_sample:
            findings.append(Finding(rule.rule_id, Decision.HOLD, "the list is a made-up sample", path, source))
    names = ", ".join(f"{entry.name} as of {entry.as_of}" for entry in lists)
    return tuple(findings) or (Finding(rule.rule_id, Decision.ALLOW, "on no list in use", path, names),)


def _sanctions(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    order = context.order
    return tuple(
        finding
        for path, address in (("order.recipient", order.recipient), ("order.issuer", order.issuer))
        for finding in screen(address, path, context.lists, context.screening, context.now_ms, rule)
    )


def _deadline(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    if context.order.deadline * 1000 <= context.now_ms:
        return (Finding(rule_id, Decision.DENY, "the order's deadline has passed", "order.deadline"),)
    return (Finding(rule_id, Decision.ALLOW, "the order's deadline lies ahead", "order.deadline"),)


def _value(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    price = context.price
    if price is None:
        return _ask(rule, "a dated unit price is needed", "price")
    if price.currency != rule.text_param("currency"):
        return _ask(rule, f"the price must be in {rule.text_param('currency')}", "price.currency")
    age_ms = context.now_ms - price.as_of_ms
    if age_ms < 0:
        return _ask(rule, "the price is dated in the future", "price.as_of_ms")
    if age_ms > rule.integer("price_max_age_hours") * HOUR_MS:
        return _ask(rule, f"the price is older than {rule.integer('price_max_age_hours')} hours", "price.as_of_ms")
    side = "at or above" if _is_full(context, rule) else "below"
    message = f"the order's value is {side} the threshold"
    return (Finding(rule_id, Decision.ALLOW, message, "order.units", rule.citation),)


def _is_full(context: TransferContext, rule: Rule) -> bool:
    """Whether the fuller set of information is due. Without a price: yes, for the value may be any."""
    price = context.price
    return price is None or context.order.units * price.minor >= rule.integer("threshold_minor")


def _travel_rule(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    value_rule = context.rules.in_force("HK-TR-VALUE", context.now_ms)
    if value_rule is None:
        return _no_rule(rule_id)
    chosen = "HK-TR-FULL" if _is_full(context, value_rule) else "HK-TR-BASIC"
    rule = context.rules.in_force(chosen, context.now_ms)
    if rule is None:
        return _no_rule(chosen)
    findings = tuple(
        Finding(chosen, Decision.NEEDS_INFO, problem, path, rule.citation) for path, problem in _missing(context, rule)
    )
    return findings or (
        Finding(chosen, Decision.ALLOW, "the required information is there", "identity", rule.citation),
    )


def _missing(context: TransferContext, rule: Rule) -> Iterator[tuple[str, str]]:
    identity = context.identity
    if identity is None:
        yield "identity", "IVMS101.2023 data of originator and beneficiary is needed"
        return
    for role, people in (
        ("originator", identity.originator.originator_person),
        ("beneficiary", identity.beneficiary.beneficiary_person),
    ):
        if not people:
            yield f"{role}.{role}Person[0]", "the person is missing"
        for i, person in enumerate(people):
            yield from _missing_of(f"{role}.{role}Person[{i}]", person, rule.texts(role))
    for path, institution in (
        ("originatingVASP.originatingVASP", identity.originating_vasp.originating_vasp),
        ("beneficiaryVASP.beneficiaryVASP", identity.beneficiary_vasp.beneficiary_vasp),
    ):
        if institution is None:
            yield path, "the institution is missing"
        else:
            yield from _missing_of(path, institution, rule.texts("institutions"))


def _missing_of(path: str, person: Person, required: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for item in required:
        if item == "name":
            if not has_legal_name(person):
                yield name_path(path, person), "the legal name is missing"
        elif item == "account":
            if not person.account_number:
                yield f"{path}.accountNumber", "the account number or unique reference is missing"
        elif item == "identification":
            if fault := identification_fault(path, person):
                yield fault.path, f"{fault.problem} ({fault.constraint})"
        else:
            raise Rejected("RULE_PACK_INVALID", "a rule asks for something this gate does not know", subject=item)


def _form(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    if context.identity is None:
        return _ask(rule, "there is no Travel Rule data to check", "identity")
    today = datetime.datetime.fromtimestamp(context.now_ms // 1000, datetime.UTC).date()
    faults = check_form(context.identity, today)
    return tuple(
        Finding(rule_id, Decision.NEEDS_INFO, f"{fault.constraint}: {fault.problem}", fault.path, rule.citation)
        for fault in faults
    ) or (Finding(rule_id, Decision.ALLOW, "the data meets C2, C3 and C5 to C11", "identity", rule.citation),)


def _wallet(context: TransferContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    people = context.identity.beneficiary.beneficiary_person if context.identity else ()
    path = "beneficiary.beneficiaryPerson[0].accountNumber"
    accounts = [account for person in people for account in person.account_number]
    if not accounts:
        return _ask(rule, "the beneficiary's wallet is needed", path)
    if not any(_is_address(account, context.order.recipient) for account in accounts):
        message = "none of the beneficiary's accounts is the order's recipient"
        return (Finding(rule_id, Decision.HOLD, message, path, rule.citation),)
    return (Finding(rule_id, Decision.ALLOW, "the recipient is the beneficiary's account", path, rule.citation),)


def _is_address(account: str, address: bytes) -> bool:
    try:
        return parse_address(account) == address
    except Rejected:
        return False


TRANSFER_POLICIES: AllOf[TransferContext] = AllOf(
    (
        _Check("ORDER-DEADLINE", _deadline),
        _Check("HK-SANCTIONS", _sanctions),
        _Check("HK-TR-VALUE", _value),
        _Check("HK-TR", _travel_rule),
        _Check("HK-TR-WALLET", _wallet),
        _Check("IVMS-FORM", _form),
    ),
    "TRANSFER-POLICIES",
)
"""The policies of the gate, in the order in which findings are reported."""


def decide(
    context: TransferContext, policies: Policy[TransferContext] = TRANSFER_POLICIES
) -> tuple[Decision, tuple[Finding, ...]]:
    """The decision about one order and everything seen on the way. Pure."""
    findings = policies.evaluate(context)
    return conclude(findings), findings


def _ask(rule: Rule, message: str, path: str) -> tuple[Finding, ...]:
    return (Finding(rule.rule_id, Decision.NEEDS_INFO, message, path, rule.citation),)


def _no_rule(rule_id: str) -> tuple[Finding, ...]:
    return (Finding(rule_id, Decision.HOLD, "no version of this rule is in force: the rule pack must be completed"),)
