"""Who is calling, and what that member may do and see."""

from __future__ import annotations

from typing import Any, Protocol

import grpc.aio
from google.protobuf.message import DecodeError
from lianqiao.ledger.v1 import transaction_pb2 as tx_pb

from lianqiao_base.errors import PermissionDenied, Unauthenticated
from lianqiao_base.tls import caller_fingerprint
from mainland_chain.state.entities import Member, Role
from mainland_chain.state.refusals import MalformedTransaction

# These bodies carry the ledger's own secrets (pseudonym keys): nobody but the signer's organisation reads them.
_SECRET_BODIES = frozenset({"publish_export_policy"})


class Members(Protocol):
    """What of the application this needs."""

    def member_by_tls(self, fingerprint: bytes) -> Member | None: ...
    def member(self, member_id: str) -> Member | None: ...


class Access:
    """Decisions about callers. Members come from the ledger's committed state, never from a list of our own."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def caller(self, context: grpc.aio.ServicerContext[Any, Any]) -> Member:
        """The member behind the client certificate. Raises `Unauthenticated`."""
        fingerprint = caller_fingerprint(context)
        member = self._members.member_by_tls(fingerprint)
        if member is None:
            raise Unauthenticated(
                "UNKNOWN_MEMBER",
                "no member of this ledger has this certificate",
                subject=fingerprint.hex(),
                hint="have a member admitted with this certificate's SHA-256 fingerprint",
            )
        return member

    def require_own(self, caller: Member, transaction: bytes) -> None:
        """Raise `PermissionDenied("NOT_YOUR_TRANSACTION")` unless the signer is of the caller's organisation.

        An unknown signer passes: the ledger itself refuses it, with the better reason.
        """
        signer = _parse(transaction).signer
        if signer == caller.member_id:
            return
        member = self._members.member(signer)
        if member is not None and member.organisation_id != caller.organisation_id:
            raise PermissionDenied(
                "NOT_YOUR_TRANSACTION",
                "the transaction is signed by a member of another organisation",
                subject=caller.member_id,
                hint="its signer must submit it",
            )

    def may_read_transaction(self, caller: Member, transaction: bytes) -> bool:
        """May `caller` read the transaction as it was signed?"""
        parsed = _parse(transaction)
        signer = self._members.member(parsed.signer)
        if signer is not None and signer.organisation_id == caller.organisation_id:
            return True
        return caller.role is Role.REGULATOR and parsed.WhichOneof("body") not in _SECRET_BODIES


def _parse(transaction: bytes) -> tx_pb.Transaction:
    try:
        return tx_pb.Transaction.FromString(transaction)
    except DecodeError as error:
        raise MalformedTransaction("not a protobuf message of the expected type") from error
