"""The application behind every engine: proposals, commits, votes, identities; and that nothing depends on what a node saw before."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace

import pytest

from lianqiao_base.errors import Fatal, Rejected
from mainland_chain.application import MAX_BLOCK_BYTES, Application, Proposal, VoteExtension
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import org_id
from mainland_chain.state.entities import Role, SigningMode
from mainland_chain.state.view import member_key
from tests.support.busy import Busy
from tests.support.memory_store import MemoryStore
from tests.support.world import NOW, ORGANISATIONS, World


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


def rejected(code: str, kind: type[Exception] = Rejected) -> pytest.RaisesExc[Exception]:
    return pytest.raises(kind, check=lambda e: e.code == code)  # type: ignore[attr-defined]


# -- proposals ---------------------------------------------------------------------------------------------------------


def test_a_proposal_must_be_the_next_block_and_later(busy: Busy) -> None:
    app = busy.fork().app
    assert app.head is not None
    height, time = app.next_height, app.head.header.time_ms
    assert height == app.head.header.height + 1
    app.process(Proposal(height, time + 1, ()))
    for bad in (Proposal(height - 1, time + 1, ()), Proposal(height + 1, time + 1, ()), Proposal(height, time, ())):
        with rejected("BAD_PROPOSAL"):
            app.process(bad)


def test_the_first_block_is_not_before_the_genesis() -> None:
    app = World().app
    app.process(Proposal(1, app.genesis.created_ms, ()))
    with rejected("BAD_PROPOSAL"):
        app.process(Proposal(1, app.genesis.created_ms - 1, ()))


def test_bytes_that_are_no_transaction_never_enter_a_block(busy: Busy) -> None:
    world = busy.fork()
    good = world.lock(lock_id="lock-009").raw
    proposal = world.app.prepare(world.app.next_height, NOW + 9000, [b"junk", good, b""])
    assert proposal.transactions == (good,)
    with rejected("MALFORMED"):
        world.app.process(replace(proposal, transactions=(good, b"junk")))


def test_a_block_holds_what_fits(busy: Busy) -> None:
    world = busy.fork()
    big = [
        world.edit(world.asset(), lambda t, i=i: setattr(t.register_asset, "profile", "x" * 500_000 + str(i))).raw
        for i in range(9)
    ]
    proposal = world.app.prepare(world.app.next_height, NOW + 9000, big)
    assert proposal.transactions == tuple(big[:8])
    assert sum(map(len, proposal.transactions)) <= MAX_BLOCK_BYTES
    world.app.process(proposal)
    with rejected("BAD_PROPOSAL"):
        world.app.process(replace(proposal, transactions=tuple(big)))


def test_commit_needs_a_finalized_block_and_happens_once(busy: Busy) -> None:
    world = busy.fork()
    with rejected("NOTHING_FINALIZED", Fatal):
        world.app.commit()
    world.block()
    with rejected("NOTHING_FINALIZED", Fatal):
        world.app.commit()


def test_finalizing_persists_nothing_and_may_be_repeated(busy: Busy) -> None:
    world = busy.fork()
    before = world.store.everything()
    proposal = world.app.prepare(world.app.next_height, NOW + 9000, [world.lock(lock_id="lock-009").raw])
    first = world.app.finalize(proposal)
    assert world.store.everything() == before
    other = world.app.finalize(replace(proposal, transactions=()))
    assert other.header_hash != first.header_hash
    assert world.app.finalize(proposal) == first
    assert world.app.commit().header_hash == first.header_hash


def test_another_ledgers_store_is_not_opened(busy: Busy) -> None:
    with rejected("WRONG_CHAIN", Fatal):
        Application(World().genesis, busy.store)


# -- what was seen before must not matter ------------------------------------------------------------------------------


def test_checking_is_in_order_and_forgotten_at_begin(busy: Busy) -> None:
    world = busy.fork()
    app = world.app
    asset, lock = world.asset(asset_id="plant-009"), world.lock(lock_id="lock-009", asset_id="plant-009")
    with rejected("UNKNOWN_ASSET"):
        app.check(lock.raw, NOW + 9000)
    app.check(asset.raw, NOW + 9000)
    later = world.lock(lock_id="lock-009", asset_id="plant-009")
    app.check(later.raw, NOW + 9000)
    with rejected("DUPLICATE_TRANSACTION"):
        app.check(later.raw, NOW + 9000)
    app.begin_check()
    with rejected("UNKNOWN_ASSET"):
        app.check(later.raw, NOW + 9000)
    assert world.store.everything() == busy.store.everything()


def test_a_signature_accepted_for_one_mode_is_not_accepted_for_the_other() -> None:
    """An originator shows a node one registration of his device and has another one executed. The node that saw both must decide
    like the nodes that saw one."""
    world = World()
    world.ok(world.asset())
    pending = world.register_device(SigningMode.BATCH)
    executed = world.register_device(SigningMode.READING)
    telemetry = world.telemetry(world.readings(1), SigningMode.BATCH)
    blind = world.fork()
    world.app.check(pending.raw, NOW + 9000)
    world.app.check(telemetry.raw, NOW + 9000)
    blocks = [w.block(executed, telemetry) for w in (world, blind)]
    assert [r.code for r in blocks[0].results] == ["OK", "BAD_DEVICE_SIGNATURE"]
    assert blocks[0] == blocks[1]


def test_a_signature_is_verified_under_the_key_of_the_state_at_its_place() -> None:
    world = World()
    world.ok(world.asset())
    first, second = PrivateKey.generate(), PrivateKey.generate()
    pending, executed = (world.register_device(device_key=k) for k in (first, second))
    telemetry = world.telemetry(device_key=first)
    world.app.check(pending.raw, NOW + 9000)
    world.app.check(telemetry.raw, NOW + 9000)
    assert [r.code for r in world.block(executed, telemetry).results] == ["OK", "BAD_DEVICE_SIGNATURE"]


def test_remembering_a_thousand_signatures_takes_no_more_room_than_one() -> None:
    world = World()
    world.ok(world.asset())
    world.ok(world.register_device(SigningMode.READING))
    sizes = []
    for count in (1, 200):
        raw = world.telemetry(world.readings(count), SigningMode.READING).raw
        world.app.parse(raw)
        tracemalloc.start()
        world.app.precheck(raw)
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert sizes[1] < sizes[0] + 4_000


class _SlowStore(MemoryStore):
    """Reads one key, and is overtaken by a commit before it answers."""

    slow_key = ""
    overtake = staticmethod(lambda: None)

    def state(self, key: str) -> bytes | None:
        value = super().state(key)
        if key == self.slow_key:
            self.slow_key = ""
            self.overtake()
        return value


def test_a_read_that_a_commit_overtook_is_not_remembered(busy: Busy) -> None:
    world = busy.fork()
    slow = _SlowStore()
    for name, value in vars(world.store).items():
        setattr(slow, name, value)
    world.store, world.app = slow, Application(world.genesis, slow)
    key = PrivateKey.generate()
    admission = world.admit_new(key=key, role=Role.CREDIBILITY)
    slow.slow_key, slow.overtake = member_key("court-1.m1"), lambda: world.ok(admission)
    stale = world.edit(world.lock(lock_id="lock-x"), lambda t: setattr(t, "signer", "court-1.m1"), signer=key)
    with rejected("UNKNOWN_SIGNER"):
        world.app.precheck(stale.raw)  # the read began before the commit
    assert world.app.precheck(stale.raw) == stale.tx_hash
    assert world.run(stale).code == "ROLE_NOT_ALLOWED"


def test_prechecking_needs_no_order(busy: Busy) -> None:
    world = busy.fork()
    built = world.telemetry(world.readings(1, first=9))
    assert world.app.precheck(built.raw) == built.tx_hash == world.app.precheck(built.raw)
    world.ok(built)
    assert world.app.precheck(built.raw) == built.tx_hash  # that it is a duplicate, only the check in order knows
    with rejected("DUPLICATE_TRANSACTION"):
        world.app.check(built.raw, NOW + 9000)


# -- genesis and identities --------------------------------------------------------------------------------------------


def test_genesis_members_are_known_before_and_after_the_first_block() -> None:
    world = World()
    for _ in range(2):
        member = world.app.member_by_tls(hashlib.sha256(b"org-b").digest())
        assert member is not None
        assert (member.member_id, member.organisation_id, member.role) == ("org-b.m1", "org-b", Role.CORE)
        assert member.public_key == world.keys["org-b"].public_key
        assert world.app.member("org-b.m1") == member
        regulator = world.app.member("regulator.m1")
        assert regulator is not None
        assert regulator.role is Role.REGULATOR
        assert world.app.member_by_tls(bytes(32)) is None
        assert world.app.member("nobody") is None
        world.block()
    assert world.app.precheck(world.asset().raw)


def test_genesis_state_is_in_the_first_block() -> None:
    world = World()
    block = world.block()
    assert block.header.previous_header_hash == world.chain_id
    assert {k for k, _ in block.writes} >= {member_key(f"{o}.m1") for o in ORGANISATIONS} | {"core-organisations"}
    assert world.block().writes == ()


def test_a_new_member_is_known_by_its_certificate(busy: Busy) -> None:
    world = busy.fork()
    assert world.app.member_by_tls(hashlib.sha256(b"court").digest()) is None
    world.ok(world.admit_new())
    member = world.app.member_by_tls(hashlib.sha256(b"court").digest())
    assert member is not None
    assert member.member_id == "court-1.m1"


def test_more_core_organisations_need_more_approvals(busy: Busy) -> None:
    """More than two thirds: 3 of 4, 4 of 5; a second member of an organisation is no second vote."""
    world = busy.fork()
    key = PrivateKey.generate()
    values = {"member_id": "org-e.m1", "organisation_id": "org-e", "organisation_name": "ORG-E", "role": Role.CORE}
    world.ok(world.admit_new(**values, key=key))
    assert world.run(world.builder().publish_policy(world.policy(version=2), world.approvers(3))).code == (
        "NOT_ENOUGH_APPROVALS"
    )
    world.ok(world.builder().publish_policy(world.policy(version=2), world.approvers(4)))


# -- votes and certificates --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def votes(busy: Busy) -> dict[str, VoteExtension]:
    return {o: busy.app.extend_vote(k, org_id(o)) for o, k in busy.validators.items()}


def verification(code: str) -> pytest.RaisesExc[Exception]:
    return rejected(code, VerificationError)


def test_a_quorum_of_votes_makes_the_certificate_of_the_head(busy: Busy, votes: dict[str, VoteExtension]) -> None:
    assert busy.app.head is not None
    for chosen in (list(votes.values()), list(votes.values())[:3], list(votes.values())[:0:-1]):
        certified = busy.app.certificate(chosen)
        assert certified.checkpoint == busy.app.head.header.checkpoint()
        assert certified.certificate.bitmap.bit_count() == len(chosen) == len(certified.certificate.signatures)
        verify_certificate(certified.checkpoint, certified.certificate, busy.app.validators)
    assert busy.app.certificate(list(votes.values())) == busy.app.certificate(list(votes.values())[::-1])


def test_no_quorum_no_certificate(busy: Busy, votes: dict[str, VoteExtension]) -> None:
    two = list(votes.values())[:2]
    for chosen in ([], two, [two[0]] * 4):
        with verification("NO_QUORUM"):
            busy.app.certificate(chosen)


def test_votes_that_do_not_count(busy: Busy, votes: dict[str, VoteExtension]) -> None:
    vote = votes["org-a"]
    busy.app.verify_vote(vote)
    for change in ({"height": vote.height - 1}, {"header_hash": bytes(32)}, {"digest": bytes(32)}):
        with verification("WRONG_VOTE"):
            busy.app.verify_vote(replace(vote, **change))
    with verification("UNKNOWN_VALIDATOR"):
        busy.app.verify_vote(replace(vote, org_id=org_id("regulator")))
    for signature in (b"", bytes(64), votes["org-b"].signature):
        with verification("BAD_SIGNATURE"):
            busy.app.verify_vote(replace(vote, signature=signature))
        with verification("BAD_SIGNATURE"):
            busy.app.certificate([*votes.values(), replace(vote, signature=signature)])
    with verification("BAD_SIGNATURE"):
        busy.app.extend_vote(busy.validators["org-b"], org_id("org-a"))


def test_votes_for_the_block_before_do_not_count(busy: Busy, votes: dict[str, VoteExtension]) -> None:
    world = busy.fork()
    world.block()
    with verification("WRONG_VOTE"):
        world.app.verify_vote(votes["org-a"])


def test_there_is_nothing_to_vote_on_before_the_first_block() -> None:
    world = World()
    with rejected("NO_BLOCK", Fatal):
        world.app.extend_vote(world.validators["org-a"], org_id("org-a"))


def test_the_same_genesis_gives_the_same_chain(busy: Busy) -> None:
    assert Genesis.decode(busy.genesis.canonical_bytes()).chain_id == busy.chain_id
