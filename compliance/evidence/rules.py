"""Rule packs: the numbers and patterns of the law as dated data with a source and a mark of how sure we are.

A pack is a TOML file. Every `[[rule]]` has `rule_id, text, source, article, effective_from, effective_to, evidence` and
its own `params`. Dates are days at UTC+8 (both zones), `effective_to` is the last day in force. One rule id may occur
several times with periods that do not overlap; the one in force at the time of the decision counts.
"""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compliance.evidence.model import RulePackRef
from lianqiao_base.errors import Rejected

_ZONE = datetime.timezone(datetime.timedelta(hours=8))
Param = bool | int | str | tuple[str, ...]


class Evidence(StrEnum):
    """How the text of a rule is known to us: run, read in the primary source, read in a secondary one, from memory."""

    RUN = "RUN"
    SRC = "SRC"
    SECONDARY = "2ND"
    MEMORY = "MEM"


class Rule(BaseModel):
    """One rule of a pack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule_id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{2,39}$")]
    text: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    article: str
    effective_from: datetime.date
    effective_to: datetime.date | None = None
    evidence: Evidence
    uncertain: str = ""
    """What is not certain about the rule, shown to the user; empty when nothing is."""
    params: dict[str, Param] = {}

    def in_force(self, now_ms: int) -> bool:
        """Whether the rule applies at `now_ms` (ms UTC)."""
        day = datetime.datetime.fromtimestamp(now_ms // 1000, _ZONE).date()
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    def integer(self, name: str) -> int:
        """A non-negative integer parameter. Raises `Rejected("RULE_PACK_INVALID")`."""
        value = self.params.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _invalid(self.rule_id, f"parameter {name} must be an integer of 0 or more")
        return value

    def text_param(self, name: str) -> str:
        """A non-empty text parameter. Raises `Rejected("RULE_PACK_INVALID")`."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise _invalid(self.rule_id, f"parameter {name} must be a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts. Raises `Rejected("RULE_PACK_INVALID")`."""
        value = self.params.get(name)
        if not isinstance(value, tuple) or not value:
            raise _invalid(self.rule_id, f"parameter {name} must be a list of texts")
        return value

    @property
    def citation(self) -> str:
        """Source, article and evidence mark, as findings show them."""
        mark = f"[{self.evidence.value}{', uncertain' if self.uncertain else ''}]"
        return f"{self.source}, {self.article} {mark}" if self.article else f"{self.source} {mark}"


class RulePack(BaseModel):
    """A named, versioned set of rules with the SHA-256 of the file it was read from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[str, Field(min_length=1)]
    rules: Annotated[tuple[Rule, ...], Field(alias="rule", min_length=1)]
    sha256: bytes = b""

    @property
    def ref(self) -> RulePackRef:
        """What a decision record names."""
        return RulePackRef(self.name, self.version, self.sha256)

    def in_force(self, rule_id: str, now_ms: int) -> Rule | None:
        """The version of a rule that applies at `now_ms`; None when none does, and then the caller may not allow."""
        return next((rule for rule in self.rules if rule.rule_id == rule_id and rule.in_force(now_ms)), None)


def load_rule_pack(data: bytes) -> RulePack:
    """Parse and check a pack. Raises `Rejected("RULE_PACK_INVALID")` naming the place: unknown keys, missing sources,
    overlapping
    periods of one rule, or an end before its beginning."""
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _invalid("file", "not a TOML document in UTF-8") from error
    if "sha256" in raw:
        raise _invalid("file", "the hash of a pack is computed, never stated")
    try:
        pack = RulePack.model_validate({**raw, "sha256": hashlib.sha256(data).digest()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(".".join(str(part) for part in first["loc"]), first["msg"]) from error
    _check_periods(pack)
    return pack


def _check_periods(pack: RulePack) -> None:
    last_end: dict[str, datetime.date] = {}
    for rule in sorted(pack.rules, key=lambda rule: (rule.rule_id, rule.effective_from)):
        end = rule.effective_to or datetime.date.max
        if end < rule.effective_from:
            raise _invalid(rule.rule_id, "ends before it begins")
        if rule.rule_id in last_end and rule.effective_from <= last_end[rule.rule_id]:
            raise _invalid(rule.rule_id, "two periods of one rule overlap")
        last_end[rule.rule_id] = end


def _invalid(where: str, problem: str) -> Rejected:
    return Rejected("RULE_PACK_INVALID", f"{where}: {problem}", hint="correct the rule pack")
