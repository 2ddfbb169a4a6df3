"""The export decision: small policies over one context, all of which must be content. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from compliance.evidence.model import Decision, Finding, conclude
from compliance.evidence.policy import AllOf, Policy
from compliance.evidence.rules import Rule
from compliance.export.detection import MAX_SCAN_CHARS, scan
from compliance.export.model import ExportContext, ExportedValue

_COUNTED = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z_.]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Check:
    """A policy made of a plain function."""

    rule_id: str
    check: Callable[[ExportContext, str], tuple[Finding, ...]]

    def evaluate(self, context: ExportContext) -> tuple[Finding, ...]:
        return self.check(context, self.rule_id)


def _policy_in_force(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    policy = context.policy
    if context.facts.policy_version != policy.version:
        return _deny(
            rule_id, "the request names another version of the export policy than the ledger's", "policy_version"
        )
    if context.now_ms < policy.effective_from_ms:
        return _deny(rule_id, "the export policy is not in force yet", "policy_version")
    if policy.effective_to_ms is not None and context.now_ms >= policy.effective_to_ms:
        return _deny(rule_id, "the export policy is no longer in force", "policy_version")
    return _pass(rule_id, f"export policy version {policy.version} is in force")


def _destination(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    if context.facts.destination not in context.policy.destinations:
        return _deny(rule_id, "the destination is not one of the export policy's", "destination")
    return _pass(rule_id, "the destination is in the export policy")


def _fields(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    facts = context.facts
    allowed = context.policy.fields.get(facts.claim_kind)
    if allowed is None:
        return _deny(rule_id, "the export policy has nothing for this kind of claim", "claim_kind")
    shown = {value.name for value in facts.values}
    findings: list[Finding] = []
    for i, name in enumerate(facts.fields):
        if name not in allowed:
            findings += _deny(rule_id, "the export policy does not let this field out", _path("fields", i, name))
        elif name not in shown:
            findings += _deny(rule_id, "the field's value was not shown to the gate", _path("fields", i, name))
    if findings:
        return tuple(findings)
    return _pass(rule_id, f"{len(facts.fields)} fields are in the export policy and were shown to the gate")


def _filing(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    reference = context.facts.filing_reference
    if context.facts.claim_kind not in rule.texts("claim_kinds"):
        return _pass(rule_id, "no filing reference is asked for this kind of claim", rule)
    if not reference:
        message = "the securities regulator's filing reference is missing"
        return (Finding(rule_id, Decision.NEEDS_INFO, message, "filing_reference", rule.citation),)
    if not any(re.fullmatch(pattern, reference) for pattern in rule.texts("patterns")):
        message = "the filing reference has no known form: a person must compare it with the filing"
        return (Finding(rule_id, Decision.HOLD, message, "filing_reference", rule.citation),)
    return _pass(rule_id, "the filing reference is present and well formed", rule)


def _approval(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    facts, approval = context.facts, context.approval
    path, source = "approval_reference", rule.citation
    if not facts.approval_reference:
        return (Finding(rule_id, Decision.NEEDS_INFO, "the export approval's reference is missing", path, source),)
    if approval is None or approval.reference != facts.approval_reference:
        return _deny(rule_id, "no such export approval is registered", path, source)
    if context.now_ms >= approval.valid_until_ms:
        return _deny(rule_id, "the export approval has lapsed", path, source)
    if context.now_ms < approval.valid_from_ms:
        return (Finding(rule_id, Decision.HOLD, "the export approval is not valid yet", path, source),)
    if facts.claim_kind not in approval.claim_kinds or facts.destination not in approval.destinations:
        return _deny(rule_id, "the export approval does not cover this kind of claim to this destination", path, source)
    return _pass(rule_id, "the export approval is registered, valid and covers the request", rule)


def _personal_data(context: ExportContext, rule_id: str) -> tuple[Finding, ...]:
    rule = context.rules.in_force(rule_id, context.now_ms)
    if rule is None:
        return _no_rule(rule_id)
    facts = context.facts
    texts = [(_path("values", i, value.name), value) for i, value in enumerate(facts.values)]
    texts += [(f"values[{i}].name", ExportedValue("name", value.name)) for i, value in enumerate(facts.values)]
    texts += [(f"fields[{i}]", ExportedValue("name", name)) for i, name in enumerate(facts.fields)]
    texts.append(("filing_reference", ExportedValue("filing_reference", facts.filing_reference)))
    texts.append(("approval_reference", ExportedValue("approval_reference", facts.approval_reference)))
    findings = [finding for path, text in texts for finding in _scan_one(path, text, rule)]
    return tuple(findings) or _pass(rule_id, f"no personal number in {len(texts)} texts", rule)


def _scan_one(path: str, text: ExportedValue, rule: Rule) -> list[Finding]:
    if text.counted and not _COUNTED.fullmatch(text.value):
        return list(_deny(rule.rule_id, "a counted value is not a decimal integer", path, rule.citation))
    if len(text.value) > MAX_SCAN_CHARS:
        return list(_deny(rule.rule_id, "the text is too long to be examined", path, rule.citation))
    return [
        Finding(
            rule.rule_id,
            Decision.DENY,
            f"{found.kind.value} {found.masked} at {found.start}-{found.end}",
            path,
            rule.citation,
        )
        for found in scan(text.value)
        if found.checksummed or not text.counted
    ]


def _path(what: str, index: int, name: str) -> str:
    """Where a value stands. The name is shown when it is a plain identifier, which cannot hide a number."""
    return f"{what}[{index}] {name}" if _PLAIN_NAME.fullmatch(name) else f"{what}[{index}]"


EXPORT_POLICIES: AllOf[ExportContext] = AllOf(
    (
        _Check("LEDGER-POLICY", _policy_in_force),
        _Check("LEDGER-DESTINATION", _destination),
        _Check("LEDGER-FIELDS", _fields),
        _Check("CN-FILING", _filing),
        _Check("CN-EXPORT-APPROVAL", _approval),
        _Check("CN-PERSONAL-DATA", _personal_data),
    ),
    "EXPORT-POLICIES",
)
"""The policies of the gate, in the order in which findings are reported."""


def decide(
    context: ExportContext, policies: Policy[ExportContext] = EXPORT_POLICIES
) -> tuple[Decision, tuple[Finding, ...]]:
    """The decision about one request and everything seen on the way. Pure."""
    findings = policies.evaluate(context)
    return conclude(findings), findings


def _pass(rule_id: str, message: str, rule: Rule | None = None) -> tuple[Finding, ...]:
    return (Finding(rule_id, Decision.ALLOW, message, evidence=rule.citation if rule else ""),)


def _deny(rule_id: str, message: str, path: str, evidence: str = "") -> tuple[Finding, ...]:
    return (Finding(rule_id, Decision.DENY, message, path, evidence),)


def _no_rule(rule_id: str) -> tuple[Finding, ...]:
    return (Finding(rule_id, Decision.HOLD, "no version of this rule is in force: the rule pack must be completed"),)
