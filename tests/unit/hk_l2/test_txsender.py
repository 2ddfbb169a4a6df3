"""The transaction sender: nonces, replays, failures, restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evm_chain import Chain, build

from hk_l2 import evm, keys, network
from hk_l2.bindings.credential_registry import CREDENTIAL_REVOKER_ROLE
from hk_l2.chain import Call
from hk_l2.errors import (
    EvmUnavailable,
    FeeCapExceeded,
    InsufficientFunds,
    LaneBusy,
    NonceConflict,
    RevertError,
    WrongNetwork,
)
from hk_l2.txsender import PreparedTransaction, TxSender
from lianqiao_base.errors import Rejected

HOLDER = "0x52908400098527886E0F7030069857D2E4169EE7"
CLAIM = b"\x01" * 32


def issue(chain: Chain, claim: bytes = CLAIM) -> Call:
    expiry = chain.now() + 1000
    return chain.registry.issue(HOLDER, country=344, expiry=expiry, investor_class=2, claim_id=claim)


class Cut:
    """A line to the node that breaks before or after the node has received the transaction."""

    def __init__(self, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mode = "whole"
        send = chain.client.send_raw

        def send_raw(raw: bytes) -> None:
            if self.mode == "before":
                raise EvmUnavailable("EVM_UNAVAILABLE", "cut")
            send(raw)
            if self.mode == "after":
                raise EvmUnavailable("EVM_UNAVAILABLE", "cut")

        monkeypatch.setattr(chain.client, "send_raw", send_raw)


def test_prepare_sends_nothing_and_is_deterministic(chain: Chain) -> None:
    call, nonce = issue(chain), chain.sender.next_nonce
    prepared = chain.sender.prepare(call)
    assert chain.client.transaction_count(chain.sender.address) == nonce == prepared.nonce
    assert not chain.client.knows(prepared.tx_hash)
    assert chain.fresh_sender().prepare(call) == prepared
    assert PreparedTransaction.from_document(prepared.to_document()) == prepared


def test_a_held_nonce_is_not_given_twice(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain))
    with pytest.raises(LaneBusy):
        chain.sender.prepare(issue(chain))
    chain.sender.abandon(prepared)
    again = chain.sender.prepare(issue(chain))
    assert again.nonce == prepared.nonce
    with pytest.raises(Rejected):
        chain.sender.abandon(replace(prepared, nonce=99))


def test_broadcast_is_idempotent(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain))
    for _ in range(3):
        chain.sender.broadcast(prepared)
    receipt = chain.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert receipt.succeeded
    assert receipt.transaction_hash == prepared.tx_hash
    assert receipt.block_hash == chain.client.block_stamp(receipt.block_number).hash
    assert chain.sender.next_nonce == prepared.nonce + 1 == chain.client.transaction_count(chain.sender.address)
    chain.fresh_sender().broadcast(prepared)


def test_receipt_of_an_unknown_transaction(chain: Chain) -> None:
    assert chain.sender.receipt(b"\x02" * 32) is None


def test_failed_broadcast_keeps_the_nonce(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Cut(chain, monkeypatch)
    prepared = chain.sender.prepare(issue(chain))
    line.mode = "before"
    with pytest.raises(EvmUnavailable):
        chain.sender.broadcast(prepared)
    assert chain.sender.next_nonce == prepared.nonce
    line.mode = "whole"
    chain.sender.broadcast(prepared)
    assert chain.sender.receipt(prepared.tx_hash) is not None


def test_a_lost_answer_is_not_a_failed_broadcast(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Cut(chain, monkeypatch)
    prepared = chain.sender.prepare(issue(chain))
    line.mode = "after"
    chain.sender.broadcast(prepared)
    assert chain.sender.next_nonce == prepared.nonce + 1


@pytest.mark.parametrize("sent", [False, True])
def test_restart_at_any_point_sends_exactly_once(chain: Chain, sent: bool) -> None:
    prepared = chain.sender.prepare(issue(chain))
    stored = prepared.to_document()
    if sent:
        chain.sender.broadcast(prepared)
    fresh = chain.fresh_sender()
    restored = PreparedTransaction.from_document(stored)
    fresh.restore([restored])
    assert fresh.next_nonce == prepared.nonce + 1
    fresh.broadcast(restored)
    assert chain.client.transaction_count(fresh.address) == prepared.nonce + 1
    following = fresh.prepare(issue(chain))
    assert following.nonce == prepared.nonce + 1


def test_restore_ignores_other_keys(chain: Chain) -> None:
    nonce = chain.sender.next_nonce
    other = replace(chain.sender.prepare(issue(chain)), sender=HOLDER, nonce=70)
    fresh = chain.fresh_sender()
    fresh.restore([other])
    assert fresh.next_nonce == nonce


def test_nonce_taken_by_another_transaction(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain))
    rival = chain.fresh_sender()
    taken = rival.prepare(issue(chain, b"\x05" * 32))
    assert taken.nonce == prepared.nonce
    rival.broadcast(taken)
    with pytest.raises(NonceConflict):
        chain.sender.broadcast(prepared)


def test_reverts_are_named_before_anything_is_sent(chain: Chain) -> None:
    nonce = chain.sender.next_nonce
    with pytest.raises(RevertError) as caught:
        chain.sender.prepare(chain.registry.revoke(CLAIM))
    error = caught.value
    assert error.error_name == "AccessControlUnauthorizedAccount"
    assert error.arguments == {"account": chain.sender.address, "neededRole": CREDENTIAL_REVOKER_ROLE}
    assert error.code == "REVERTED"
    assert error.data["account"] == chain.sender.address
    assert chain.sender.next_nonce == nonce
    chain.sender.prepare(issue(chain))


def test_errors_without_arguments(chain: Chain) -> None:
    with pytest.raises(RevertError) as caught:
        chain.sender.prepare(issue(chain, bytes(32)))
    assert (caught.value.error_name, caught.value.arguments) == ("InvalidClaimId", {})


def test_failure_of_a_mined_transaction_is_explained(chain: Chain) -> None:
    prepared = chain.sender.prepare(chain.registry.revoke(CLAIM), gas_limit=200_000)
    chain.sender.broadcast(prepared)
    receipt = chain.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert not receipt.succeeded
    assert chain.sender.failure(prepared, receipt).error_name == "AccessControlUnauthorizedAccount"


def test_out_of_gas_is_explained(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain), gas_limit=30_000)
    chain.sender.broadcast(prepared)
    receipt = chain.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert not receipt.succeeded
    assert chain.sender.failure(prepared, receipt).error_name == "out of gas"


def test_an_account_without_money(chain: Chain) -> None:
    sender = TxSender(chain.client, keys.generate(), chain.chain_id, chain.gas)
    prepared = sender.prepare(Call(HOLDER, b"", "nothing"), gas_limit=21_000)
    with pytest.raises(InsufficientFunds):
        sender.broadcast(prepared)
    assert sender.next_nonce == 0


def test_fees_follow_the_profile(chain: Chain) -> None:
    base = chain.client.base_fee()
    prepared = chain.sender.prepare(issue(chain))
    assert prepared.max_priority_fee_per_gas == chain.gas.priority_fee_wei
    assert prepared.max_fee_per_gas == 2 * base + chain.gas.priority_fee_wei


def test_fee_cap(chain: Chain) -> None:
    gas = chain.gas.model_copy(update={"max_fee_cap_wei": chain.client.base_fee()})
    with pytest.raises(FeeCapExceeded):
        TxSender(chain.client, chain.account, chain.chain_id, gas).prepare(issue(chain))


def test_replacement(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain))
    dearer = chain.sender.replace(prepared, bump_percent=10)
    assert (dearer.nonce, dearer.call) == (prepared.nonce, prepared.call)
    assert dearer.max_fee_per_gas * 100 >= prepared.max_fee_per_gas * 110
    assert dearer.tx_hash != prepared.tx_hash
    chain.sender.broadcast(dearer)
    assert chain.sender.next_nonce == prepared.nonce + 1
    with pytest.raises(NonceConflict):
        chain.sender.broadcast(prepared)
    with pytest.raises(Rejected):
        chain.sender.replace(prepared, bump_percent=9)
    with pytest.raises(FeeCapExceeded):
        chain.sender.replace(prepared, bump_percent=10**6)


def test_wrong_network(chain: Chain) -> None:
    with pytest.raises(WrongNetwork):
        TxSender(chain.client, chain.account, 1, chain.gas)


def test_unreachable_node() -> None:
    with pytest.raises(EvmUnavailable):
        evm.connect("http://127.0.0.1:9", timeout_s=1).chain_id()


def test_no_secret_in_what_is_shown(chain: Chain) -> None:
    prepared = chain.sender.prepare(issue(chain))
    secret = chain.account.key.hex().removeprefix("0x")
    assert secret not in repr(prepared) + repr(chain.sender) + repr(vars(chain.sender))


def test_reads_are_pinned_to_their_block(chain: Chain) -> None:
    before = chain.client.block_stamp()
    chain.run(issue(chain))
    after = chain.client.block_stamp()
    assert not chain.registry.is_eligible(HOLDER, before)
    assert chain.registry.is_eligible(HOLDER, after)
    credential = chain.registry.credential(HOLDER, after)
    assert (credential.claim_id, credential.country, credential.revoked) == (CLAIM, 344, False)


def test_estimates_where_the_profile_has_no_fixed_limit() -> None:
    client = evm.embedded()
    profile = network.load("embedded")
    estimating = profile.model_copy(update={"gas": profile.gas.model_copy(update={"fixed_gas_limit": None})})
    chain = build(client, evm.dev_key(client, 0), estimating)
    prepared = chain.sender.prepare(issue(chain))
    chain.sender.broadcast(prepared)
    receipt = chain.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert receipt.gas_used < prepared.gas_limit < 2 * receipt.gas_used
