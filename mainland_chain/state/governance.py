"""Rules for members and export policies: nothing changes without more than two thirds of the core organisations."""

from __future__ import annotations

import re

from lianqiao_base import canonical
from lianqiao_base.errors import Rejected
from mainland_chain.export.policy import ExportPolicy, check_policy
from mainland_chain.state import codec
from mainland_chain.state.entities import Member, Organisation, Role
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.transactions import AdmitMember, Approval, PublishExportPolicy
from mainland_chain.state.view import (
    CORE_ORGANISATIONS,
    POLICY,
    Overlay,
    StateReader,
    member_key,
    organisation_key,
    pseudonym_key_key,
    public_key_key,
    read,
    tls_key,
)

_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}[a-z0-9]")
MAX_TEXT = 200


def check_identifier(value: str) -> None:
    if not _IDENTIFIER.fullmatch(value):
        raise TransactionRefused(
            Refusal.BAD_IDENTIFIER, "an identifier is 3 to 64 of a-z, 0-9, dot and dash", subject=value[:64]
        )


def core_organisations(reader: StateReader) -> tuple[str, ...]:
    """Ids of the core organisations, sorted."""
    raw = reader.state(CORE_ORGANISATIONS)
    return () if raw is None else codec.from_json(tuple[str, ...], canonical.loads_strict(raw))


def approvals_needed(reader: StateReader) -> int:
    """More than two thirds of the core organisations."""
    return 2 * len(core_organisations(reader)) // 3 + 1


def require_approvals(overlay: Overlay, approvals: tuple[Approval, ...]) -> None:
    """Enough of them. That each is a core organisation's one vote was verified with its signature."""
    needed = approvals_needed(overlay)
    if len(approvals) < needed:
        raise TransactionRefused(
            Refusal.NOT_ENOUGH_APPROVALS,
            f"{len(approvals)} core organisations approve, {needed} are needed",
            hint="collect more approvals over the same body",
        )


def add_member(overlay: Overlay, member: Member, organisation: Organisation) -> None:
    """Write a member and its indexes. Used by genesis and by admission."""
    overlay.put(organisation_key(organisation.organisation_id), organisation)
    overlay.put(member_key(member.member_id), member)
    overlay.put(tls_key(member.tls_fingerprint), member.member_id)
    overlay.put(public_key_key(member.public_key), member.member_id)
    if organisation.role is Role.CORE:
        ids = tuple(sorted({*core_organisations(overlay), organisation.organisation_id}))
        overlay.put(CORE_ORGANISATIONS, ids)


def claim_key(overlay: Overlay, public_key: bytes, owner: str) -> None:
    """One key, one owner, for members and devices alike. Its proof of possession was verified before."""
    if overlay.state(public_key_key(public_key)) is not None:
        raise TransactionRefused(Refusal.KEY_IN_USE, "the key belongs to somebody already", subject=owner)
    overlay.put(public_key_key(public_key), owner)


def admit_member(overlay: Overlay, body: AdmitMember) -> None:
    """A new member: qualified, in possession of its key, approved."""
    for identifier in (body.member_id, body.organisation_id):
        check_identifier(identifier)
    if overlay.state(member_key(body.member_id)) is not None:
        raise TransactionRefused(Refusal.MEMBER_EXISTS, "the member exists", subject=body.member_id)
    if not body.qualification_reference.strip() or len(body.qualification_reference) > MAX_TEXT:
        raise TransactionRefused(
            Refusal.QUALIFICATION_MISSING, "admission needs a qualification reference", subject=body.member_id
        )
    if not body.organisation_name.strip() or len(body.organisation_name) > MAX_TEXT:
        raise TransactionRefused(Refusal.BAD_VALUE, "the organisation needs a name", subject=body.organisation_id)
    organisation = overlay.get(Organisation, organisation_key(body.organisation_id))
    if organisation is None:
        organisation = Organisation(body.organisation_id, body.organisation_name, body.role)
    elif (organisation.name, organisation.role) != (body.organisation_name, body.role):
        raise TransactionRefused(
            Refusal.ORGANISATION_MISMATCH, "the organisation has another name or role", subject=body.organisation_id
        )
    if len(body.tls_fingerprint) != 32 or overlay.state(tls_key(body.tls_fingerprint)) is not None:
        raise TransactionRefused(
            Refusal.TLS_IDENTITY_IN_USE, "the TLS certificate is malformed or in use", subject=body.member_id
        )
    require_approvals(overlay, body.approvals)
    claim_key(overlay, body.public_key, body.member_id)
    member = Member(
        body.member_id,
        body.organisation_id,
        body.role,
        body.qualification_reference,
        body.public_key,
        body.tls_fingerprint,
    )
    add_member(overlay, member, organisation)


def publish_policy(overlay: Overlay, body: PublishExportPolicy, now_ms: int) -> None:
    """The next version of the export policy; it replaces the one before at once, so it must be in force now.

    A destination keeps its pseudonym key: another key would let one asset appear in Hong Kong as two.
    """
    policy = body.policy
    current = read(overlay, ExportPolicy, POLICY)
    expected = 1 if current is None else current.version + 1
    if policy.version != expected:
        raise TransactionRefused(
            Refusal.POLICY_VERSION, f"the next version is {expected}, not {policy.version}", subject="policy"
        )
    try:
        check_policy(policy)
    except Rejected as error:
        raise TransactionRefused(Refusal[error.code], error.message, subject=error.subject) from error
    if not policy.in_force(now_ms):
        raise TransactionRefused(
            Refusal.POLICY_INTERVAL,
            "a policy replaces the one before when it is published, so it must be in force then",
            hint="publish it when it begins",
        )
    for destination in policy.destinations:
        key = overlay.state(pseudonym_key_key(destination.destination))
        if key is not None and key != codec.encode(destination.pseudonym_key):
            raise TransactionRefused(
                Refusal.POLICY_DESTINATION,
                "a destination keeps its pseudonym key for ever",
                subject=destination.destination.hex(),
                hint="use the key of the earlier policy",
            )
        overlay.put(pseudonym_key_key(destination.destination), destination.pseudonym_key)
    require_approvals(overlay, body.approvals)
    overlay.put(POLICY, policy)
