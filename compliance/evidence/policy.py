"""Small policies and their composition. A set that examines nothing never allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from compliance.evidence.model import Decision, Finding

Context = TypeVar("Context", contravariant=True)


class Policy(Protocol[Context]):
    """One rule: looks at a context and says what it saw. It gives at least one finding, ALLOW when content."""

    @property
    def rule_id(self) -> str:
        """Stable identifier, found again in rule packs, findings and docs/compliance.md."""
        ...

    def evaluate(self, context: Context) -> tuple[Finding, ...]:
        """Pure: the same context gives the same findings."""
        ...


@dataclass(frozen=True, slots=True)
class AllOf(Generic[Context]):
    """Every policy has its say.

    An empty set denies, and so does a policy that gives no finding: what was not examined is not allowed.
    """

    policies: Sequence[Policy[Context]]
    rule_id: str = "POLICY-SET"

    def evaluate(self, context: Context) -> tuple[Finding, ...]:
        """Findings of all policies, in their order."""
        if not self.policies:
            return (Finding(self.rule_id, Decision.DENY, "no policy is configured: nothing was examined"),)
        findings: list[Finding] = []
        for policy in self.policies:
            seen = policy.evaluate(context)
            findings.extend(
                seen or (Finding(policy.rule_id, Decision.DENY, "the policy gave no finding: it examined nothing"),)
            )
        return tuple(findings)
