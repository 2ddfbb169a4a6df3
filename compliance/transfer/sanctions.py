"""Sanctions lists: dated files of addresses, read strictly.

File: one JSON object `{"format": "lianqiao.sanctions.v1", "name", "source", "as_of", "fetched", "evidence", "sample",
"entries": [{"chain", "address", "program"}]}`. `as_of` is the day (UTC) the list speaks for, `fetched` the day we got
it. `chain` is a CAIP-2 id `eip155:<n>`; a listed address counts on every EVM chain, for the same key holds it
everywhere. `sample: true` marks made-up data.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compliance.evidence.model import RulePackRef
from compliance.transfer.address import parse_address
from lianqiao_base.errors import Rejected

DAY_MS = 86_400_000
MAX_LIST_BYTES = 64 * 1024 * 1024


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    chain: Annotated[str, Field(pattern=r"^eip155:[1-9][0-9]{0,18}$")]
    address: str
    program: Annotated[str, Field(min_length=1, max_length=100)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["lianqiao.sanctions.v1"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    source: Annotated[str, Field(min_length=1)]
    as_of: datetime.date
    fetched: datetime.date
    evidence: Annotated[str, Field(min_length=1)]
    sample: bool
    entries: Annotated[tuple[_Entry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class SanctionsList:
    """One list as loaded.

    `as_of_ms` is the start of its day (ms UTC), `programs` gives the program of each 20-byte address.
    """

    name: str
    source: str
    as_of_ms: int
    as_of: str
    evidence: str
    sample: bool
    sha256: bytes
    programs: Mapping[bytes, str] = field(repr=False)

    @property
    def ref(self) -> RulePackRef:
        """What a decision record names: the list, its as-of date and the hash of its file."""
        return RulePackRef(f"sanctions:{self.name}", self.as_of, self.sha256)

    def age_days(self, now_ms: int) -> int:
        """Whole days since the as-of date; negative when it lies ahead."""
        return (now_ms - self.as_of_ms) // DAY_MS


class ListSource(Protocol):
    """Where the gate finds the lists now in use; a refresh swaps them as a whole."""

    def current(self) -> tuple[SanctionsList, ...]:
        """All lists to screen against."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredLists:
    """Lists given by the gate's configuration."""

    lists: tuple[SanctionsList, ...]

    def current(self) -> tuple[SanctionsList, ...]:
        """All lists to screen against."""
        return self.lists


def load_sanctions(data: bytes, now_ms: int) -> SanctionsList:
    """Read a list file. Raises `Rejected("SANCTIONS_LIST_INVALID")`: unknown or missing keys, no entries, a malformed
    or repeated
    address, a date after `now_ms`, or fetched before the day it speaks for."""
    if len(data) > MAX_LIST_BYTES:
        raise _invalid("file", "larger than 64 MiB")
    try:
        parsed = _File.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(".".join(str(part) for part in first["loc"]) or "file", first["msg"]) from error
    today = datetime.datetime.fromtimestamp(now_ms // 1000, datetime.UTC).date()
    if parsed.fetched > today:
        raise _invalid("fetched", "the list is dated in the future")
    if parsed.as_of > parsed.fetched:
        raise _invalid("as_of", "the list speaks for a day after it was fetched")
    programs: dict[bytes, str] = {}
    seen: set[tuple[str, bytes]] = set()
    for i, entry in enumerate(parsed.entries):
        try:
            address = parse_address(entry.address)
        except Rejected as error:
            raise _invalid(f"entries[{i}].address", error.message) from error
        if (entry.chain, address) in seen:
            raise _invalid(f"entries[{i}]", "the address is listed twice for one chain")
        seen.add((entry.chain, address))
        programs.setdefault(address, entry.program)
    midnight = datetime.datetime.combine(parsed.as_of, datetime.time(), datetime.UTC)
    return SanctionsList(
        name=parsed.name,
        source=parsed.source,
        as_of_ms=int(midnight.timestamp()) * 1000,
        as_of=parsed.as_of.isoformat(),
        evidence=parsed.evidence,
        sample=parsed.sample,
        sha256=hashlib.sha256(data).digest(),
        programs=programs,
    )


def sample_list(now_ms: int) -> SanctionsList:
    """The made-up list that ships for demonstrations and tests. It screens nobody real."""
    return load_sanctions(
        resources.files("compliance.transfer").joinpath("data/sanctions-sample.json").read_bytes(), now_ms
    )


def _invalid(where: str, problem: str) -> Rejected:
    return Rejected(
        "SANCTIONS_LIST_INVALID", f"{where}: {problem}", hint="fetch the list again; the list in use stays as it is"
    )
