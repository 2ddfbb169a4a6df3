"""Binding of `CredentialRegistry`: who may hold."""

from __future__ import annotations

from dataclasses import dataclass

from hk_l2.bindings.contract import Contract, role
from hk_l2.chain import BlockStamp, Call

CREDENTIAL_ISSUER_ROLE = role("CREDENTIAL_ISSUER_ROLE")
CREDENTIAL_REVOKER_ROLE = role("CREDENTIAL_REVOKER_ROLE")


@dataclass(frozen=True, slots=True)
class Credential:
    """Credential of an address; `claim_id` is zero when there is none."""

    claim_id: bytes
    expiry: int
    """Second (EVM time) from which it no longer counts."""
    country: int
    """ISO 3166-1 numeric."""
    investor_class: int
    revoked: bool


class CredentialRegistry(Contract):
    """Registry of credentials."""

    artifact = "CredentialRegistry"

    def is_eligible(self, account: str, at: BlockStamp | None = None) -> bool:
        """Whether the account may receive tokens."""
        return bool(self._read("isEligible", account, at=at))

    def credential(self, account: str, at: BlockStamp | None = None) -> Credential:
        """Credential of an account."""
        found, revoked = self._read_all("credentialOf", account, at=at)
        return Credential(found["claimId"], found["expiry"], found["country"], found["investorClass"], revoked)

    def issue(self, account: str, *, country: int, expiry: int, investor_class: int, claim_id: bytes) -> Call:
        """Issues or renews a credential."""
        return self._write("issue", account, country, expiry, investor_class, claim_id)

    def revoke(self, claim_id: bytes) -> Call:
        """Revokes a claim for ever."""
        return self._write("revoke", claim_id)
