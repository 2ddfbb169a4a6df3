"""The genesis document: who founded a ledger. Its SM3 hash is the chain id, which everything signed is bound to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import cast

from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm2
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.types import MAX_VALIDATORS, Validator, ValidatorSet, org_id

ROLES = ("core", "credibility", "regulator")
MIN_VALIDATORS = 4
"""Fewer organisations cannot tolerate one that lies (n = 3f + 1)."""
MAX_GENESIS_BYTES = 256 * 1024

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TEXT_LIMIT = 200


def _bad(message: str, subject: str = "") -> Rejected:
    return Rejected("BAD_GENESIS", message, subject=subject, hint="correct the genesis document")


@dataclass(frozen=True, slots=True)
class GenesisOrganisation:
    """A founding organisation."""

    organisation_id: str
    """Lower-case ASCII identifier; its SM3 hash names the organisation in validator sets."""
    name: str
    role: str
    """One of `ROLES`."""


@dataclass(frozen=True, slots=True)
class GenesisMember:
    """A founding member: one key of an organisation that may act on the ledger."""

    member_id: str
    organisation_id: str
    role: str
    """One of `ROLES`."""
    public_key: bytes
    """SM2, 64 bytes."""
    qualification_reference: str
    tls_fingerprint: bytes
    """SHA-256 of the member's client certificate (DER), 32 bytes."""


@dataclass(frozen=True, slots=True)
class GenesisValidator:
    """A validator of epoch 0."""

    organisation_id: str
    public_key: bytes
    """SM2, 64 bytes."""


@dataclass(frozen=True)
class Genesis:
    """A valid genesis document. Every list is sorted by its identifier. Raises `Rejected("BAD_GENESIS")`."""

    name: str
    created_ms: int
    organisations: tuple[GenesisOrganisation, ...]
    members: tuple[GenesisMember, ...]
    validators: tuple[GenesisValidator, ...]

    def __post_init__(self) -> None:
        _text(self.name, "name")
        if isinstance(self.created_ms, bool) or not 0 <= self.created_ms <= canonical.MAX_SAFE_INTEGER:
            raise _bad("created_ms must be 0 to 2^53 - 1")
        _sorted("organisations", [o.organisation_id for o in self.organisations])
        _sorted("members", [m.member_id for m in self.members])
        _sorted("validators", [v.organisation_id for v in self.validators])
        roles = {o.organisation_id: o.role for o in self.organisations}
        for organisation in self.organisations:
            _text(organisation.name, organisation.organisation_id)
            _role(organisation.role, organisation.organisation_id)
        for member in self.members:
            if member.organisation_id not in roles:
                raise _bad("the member's organisation is not listed", member.member_id)
            if member.role != roles[member.organisation_id]:
                raise _bad("a member has the role of its organisation", member.member_id)
            _text(member.qualification_reference, member.member_id)
            _key(member.public_key, member.member_id)
            if len(member.tls_fingerprint) != 32:
                raise _bad("a TLS fingerprint has 32 bytes", member.member_id)
        if not MIN_VALIDATORS <= len(self.validators) <= MAX_VALIDATORS:
            raise _bad(f"a ledger starts with {MIN_VALIDATORS} to {MAX_VALIDATORS} validators")
        for validator in self.validators:
            if roles.get(validator.organisation_id) != "core":
                raise _bad("a validator's organisation must be listed, with role core", validator.organisation_id)
            _key(validator.public_key, validator.organisation_id)
        _distinct("members", [m.public_key for m in self.members])
        _distinct("members", [m.tls_fingerprint for m in self.members], "TLS certificate")
        _distinct("validators", [v.public_key for v in self.validators])

    def to_json(self) -> dict[str, Json]:
        """The document; `canonical_bytes` are its RFC 8785 form."""
        return {
            "created_ms": self.created_ms,
            "epoch": 0,
            "members": [
                {
                    "member_id": m.member_id,
                    "organisation_id": m.organisation_id,
                    "public_key": m.public_key.hex(),
                    "qualification_reference": m.qualification_reference,
                    "role": m.role,
                    "tls_fingerprint": m.tls_fingerprint.hex(),
                }
                for m in self.members
            ],
            "name": self.name,
            "organisations": [
                {"name": o.name, "organisation_id": o.organisation_id, "role": o.role} for o in self.organisations
            ],
            "validators": [
                {"organisation_id": v.organisation_id, "public_key": v.public_key.hex()} for v in self.validators
            ],
        }

    def canonical_bytes(self) -> bytes:
        """Canonical JSON of the document."""
        return canonical.dumps(self.to_json())

    @cached_property
    def chain_id(self) -> bytes:
        """`SM3(canonical bytes)`, 32 bytes."""
        return sm3(self.canonical_bytes())

    def validator_set(self) -> ValidatorSet:
        """The set of epoch 0."""
        members = (Validator(org_id(v.organisation_id), v.public_key) for v in self.validators)
        return ValidatorSet(self.chain_id, 0, tuple(sorted(members, key=lambda m: m.org_id)))

    @classmethod
    def create(
        cls,
        name: str,
        created_ms: int,
        organisations: Iterable[GenesisOrganisation],
        members: Iterable[GenesisMember],
        validators: Iterable[GenesisValidator],
    ) -> Genesis:
        """A genesis from lists in any order."""
        return cls(
            name,
            created_ms,
            tuple(sorted(organisations, key=lambda o: o.organisation_id)),
            tuple(sorted(members, key=lambda m: m.member_id)),
            tuple(sorted(validators, key=lambda v: v.organisation_id)),
        )

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """The genesis that `data` encodes. Strict: `data` must be the one canonical encoding.

        Raises `Rejected("BAD_GENESIS")`, or `Rejected("NOT_CANONICAL")` for bytes that are not canonical JSON.
        """
        if len(data) > MAX_GENESIS_BYTES:
            raise _bad(f"a genesis document has at most {MAX_GENESIS_BYTES} bytes")
        return cls.from_json(canonical.loads_strict(data))

    @classmethod
    def from_json(cls, value: Json) -> Genesis:
        """The genesis of a parsed document. Raises `Rejected("BAD_GENESIS")` for unknown, missing or mistyped keys."""
        document = _object(value, "genesis")
        try:
            genesis = cls(
                cast("str", document["name"]),
                cast("int", document["created_ms"]),
                tuple(GenesisOrganisation(**o) for o in _strings(document["organisations"])),
                tuple(
                    GenesisMember(
                        m["member_id"],
                        m["organisation_id"],
                        m["role"],
                        _hex(m["public_key"]),
                        m["qualification_reference"],
                        _hex(m["tls_fingerprint"]),
                    )
                    for m in _strings(document["members"])
                ),
                tuple(
                    GenesisValidator(v["organisation_id"], _hex(v["public_key"]))
                    for v in _strings(document["validators"])
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise _bad("keys are missing, unknown or of the wrong type") from error
        # Re-encoding decides about everything else: unknown keys, another epoch, upper-case hex, true for 1.
        if canonical.dumps(genesis.to_json()) != canonical.dumps(value):
            raise _bad("the document holds something else than a genesis of version 1")
        return genesis


def _text(value: object, subject: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_LIMIT:
        raise _bad(f"text of 1 to {_TEXT_LIMIT} characters expected", subject)


def _role(value: object, subject: str) -> None:
    if value not in ROLES:
        raise _bad(f"role must be one of {', '.join(ROLES)}", subject)


def _key(value: bytes, subject: str) -> None:
    if not sm2.public_key_is_valid(value):
        raise _bad("not an SM2 public key of 64 bytes", subject)


def _sorted(what: str, ids: list[str]) -> None:
    if not all(isinstance(i, str) and _ID.fullmatch(i) for i in ids):
        raise _bad(f"{what}: an id is 1 to 64 lower-case letters, digits, '.', '_' or '-'")
    if any(a >= b for a, b in pairwise(ids)):
        raise _bad(f"{what} must be sorted by id and distinct")


def _distinct(what: str, values: list[bytes], thing: str = "key") -> None:
    if len(set(values)) != len(values):
        raise _bad(f"two {what} share one {thing}")


def _object(value: Json, subject: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _bad("object expected", subject)
    return value


def _strings(value: Json) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise _bad("list expected")
    items = [_object(item, "list item") for item in value]
    if not all(isinstance(v, str) for item in items for v in item.values()):
        raise _bad("only strings are expected in list items")
    return cast("list[dict[str, str]]", items)


def _hex(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise _bad("lower-case hex expected") from error
