from __future__ import annotations

import pytest
from lianqiao.ledger.v1 import transaction_pb2 as pb

from lianqiao_base.errors import PermissionDenied, Rejected
from mainland_chain.service.access import Access
from mainland_chain.state.entities import Member, Role


def member(name: str, organisation: str, role: Role = Role.CORE) -> Member:
    return Member(name, organisation, role, "q", bytes(64), name.encode().ljust(32))


ANNA, ALAN = member("anna", "org-a"), member("alan", "org-a")
BEN = member("ben", "org-b")
REG = member("reg", "org-r", Role.REGULATOR)


class Members:
    def member_by_tls(self, fingerprint: bytes) -> Member | None:
        return None

    def member(self, member_id: str) -> Member | None:
        return {m.member_id: m for m in (ANNA, ALAN, BEN, REG)}.get(member_id)


ACCESS = Access(Members())


def transaction(signer: str, **body: object) -> bytes:
    return pb.Transaction(signer=signer, **body).SerializeToString()  # type: ignore[arg-type]


def test_colleagues_may_submit_for_each_other_and_nobody_else() -> None:
    raw = transaction("anna")
    ACCESS.require_own(ANNA, raw)
    ACCESS.require_own(ALAN, raw)
    for other in (BEN, REG):
        with pytest.raises(PermissionDenied) as caught:
            ACCESS.require_own(other, raw)
        assert caught.value.code == "NOT_YOUR_TRANSACTION"


def test_an_unknown_signer_is_left_to_the_ledger() -> None:
    ACCESS.require_own(BEN, transaction("nobody"))


def test_garbage_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        ACCESS.require_own(ANNA, b"\xff\xff")
    assert caught.value.code == "MALFORMED"


def test_who_may_read_a_transaction() -> None:
    raw = transaction("anna", register_asset=pb.RegisterAsset(asset_id="x"))
    assert [ACCESS.may_read_transaction(m, raw) for m in (ANNA, ALAN, BEN, REG)] == [True, True, False, True]


def test_pseudonym_keys_are_shown_to_nobody_else_not_even_regulators() -> None:
    raw = transaction("anna", publish_export_policy=pb.PublishExportPolicy(version=1))
    assert [ACCESS.may_read_transaction(m, raw) for m in (ANNA, ALAN, BEN, REG)] == [True, True, False, False]


def test_a_transaction_of_a_vanished_signer_is_for_regulators_only() -> None:
    raw = transaction("nobody")
    assert [ACCESS.may_read_transaction(m, raw) for m in (ANNA, BEN, REG)] == [False, False, True]
