"""The state machine: what can never happen, whatever events come."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.delivery import machine as m

HASHES = st.binary(min_size=32, max_size=32)
SMALL = st.integers(0, 5)
EVENTS = st.one_of(
    st.just(m.Verified()),
    st.just(m.Cleared()),
    st.just(m.Held("H", "held", "somebody")),
    st.just(m.Refused("R", "refused")),
    st.just(m.Resubmitted()),
    st.builds(m.Deferred, st.just("D"), st.just("later"), st.just("node"), SMALL),
    st.builds(m.Intended, st.builds(m.Intent, st.just("call"), SMALL, HASHES, st.booleans())),
    st.just(m.Broadcast()),
    st.builds(m.Replaced, HASHES, SMALL),
    st.builds(m.Abandoned, st.just("A"), st.just("refused"), SMALL),
    st.builds(m.NonceTaken, SMALL, HASHES),
    st.builds(m.IntentLost, SMALL),
    st.builds(m.Mined, SMALL, HASHES),
    st.builds(m.Reverted, st.just("V"), st.just("reverted"), SMALL),
    st.builds(m.AlreadyDone, SMALL, HASHES),
    st.just(m.Reorged()),
    st.just(m.Finalised()),
)
ON_ITS_WAY = (m.State.INTENDED, m.State.SENT, m.State.MINED)


class AnyHistory(RuleBasedStateMachine):
    """Any events in any order, to a packet and to an order."""

    kind = m.Kind.ORDER

    def __init__(self) -> None:
        super().__init__()
        self.item = m.Item(bytes(32), self.kind)
        self.history: list[m.Event] = []
        self.live: set[int] = set()
        """Nonces of transactions that may still be mined for the item's last step."""
        self.cleared = False

    @rule(event=EVENTS)
    def happens(self, event: m.Event) -> None:
        before = self.item
        try:
            self.item = m.apply(before, event)
        except m.IllegalEvent:
            return
        self.history.append(event)
        assert before.state not in m.ENDS, "an end was left"
        match event:
            case m.Intended(intent):
                assert before.intent is None or not before.intent.last
                if before.intent is not None:
                    self.live.discard(before.intent.nonce)
                self.live.add(intent.nonce)
            case m.Abandoned() | m.IntentLost() | m.Reverted() | m.AlreadyDone():
                self.live.clear()
            case m.Replaced():
                assert before.intent is not None
                assert self.item.intent is not None
                assert self.item.intent.nonce == before.intent.nonce
            case m.Cleared():
                self.cleared = True
            case m.Resubmitted():
                self.cleared = False
                assert before.intent is None, "resubmitted with a transaction on its way"

    @invariant()
    def never_two_transactions(self) -> None:
        assert len(self.live) <= 1

    @invariant()
    def an_intent_only_on_its_way_or_done(self) -> None:
        if self.item.intent is not None:
            assert self.item.state in (*ON_ITS_WAY, m.State.FINAL)
        if self.item.state in (m.State.INTENDED, m.State.SENT):
            assert self.item.intent is not None

    @invariant()
    def an_order_moves_only_when_cleared(self) -> None:
        if self.kind is m.Kind.ORDER and self.item.state in (m.State.CLEARED, *ON_ITS_WAY, m.State.FINAL):
            assert self.cleared

    @invariant()
    def final_has_a_block(self) -> None:
        if self.item.state is m.State.FINAL:
            assert self.item.block_hash is not None
            assert self.item.intent is None or self.item.intent.last

    @invariant()
    def something_moves_it_or_somebody_must_act(self) -> None:
        if m.next_action(self.item) is m.Action.NOTHING:
            waiting = (*m.ENDS, m.State.HELD)
            unverified = self.item.state is m.State.RECEIVED and self.kind is not m.Kind.ORDER
            assert self.item.state in waiting or unverified
        if self.item.state is m.State.HELD:
            assert self.item.actor

    @precondition(lambda self: len(self.history) > 3)
    @rule()
    def replay_gives_the_same(self) -> None:
        item = m.Item(bytes(32), self.kind)
        for event in self.history:
            item = m.apply(item, event)
        assert item == self.item


class AnyPacketHistory(AnyHistory):
    kind = m.Kind.PACKET


class AnyReportHistory(AnyHistory):
    kind = m.Kind.EQUIVOCATION

    @invariant()
    def nobody_stops_it(self) -> None:
        assert self.item.state not in (m.State.HELD, m.State.REFUSED, m.State.CLEARED)


TestOrders = AnyHistory.TestCase
TestOrders.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestPackets = AnyPacketHistory.TestCase
TestPackets.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestReports = AnyReportHistory.TestCase
TestReports.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)

INTENT = m.Intent("MintController.mint", 4, b"\x01" * 32, last=True)
STEP = dataclasses.replace(INTENT, last=False)
BLOCK = (7, b"\x07" * 32)


def run(kind: m.Kind, *events: m.Event) -> m.Item:
    item = m.Item(b"\x02" * 32, kind)
    for event in events:
        item = m.apply(item, event)
    return item


CLEARED = (m.Verified(), m.Cleared())
SENT = (*CLEARED, m.Intended(INTENT), m.Broadcast())


def test_the_usual_walks() -> None:
    order = run(m.Kind.ORDER, *SENT, m.Mined(*BLOCK), m.Finalised())
    assert order.state is m.State.FINAL
    steps = (m.Verified(), m.Intended(STEP), m.Broadcast(), m.Mined(*BLOCK))
    between = run(m.Kind.PACKET, *steps)
    assert m.next_action(between) is m.Action.PLAN
    done = m.apply(m.apply(m.apply(between, m.Intended(INTENT)), m.Mined(*BLOCK)), m.Finalised())
    assert done.state is m.State.FINAL
    with pytest.raises(m.IllegalEvent):
        m.apply(between, m.Finalised())


def test_a_report_is_planned_once_verified_and_cannot_be_stopped() -> None:
    report = run(m.Kind.EQUIVOCATION, m.Verified())
    assert m.next_action(report) is m.Action.PLAN
    for event in (m.Held("x", "y", "z"), m.Refused("x", "y"), m.Resubmitted(), m.Cleared()):
        with pytest.raises(m.IllegalEvent):
            m.apply(report, event)
    done = run(m.Kind.EQUIVOCATION, m.Verified(), m.AlreadyDone(*BLOCK), m.Finalised())
    assert done.state is m.State.FINAL


def test_only_orders_are_cleared() -> None:
    with pytest.raises(m.IllegalEvent):
        run(m.Kind.PACKET, *CLEARED)


def test_a_replacement_belongs_to_the_transaction_on_its_way() -> None:
    with pytest.raises(m.IllegalEvent):
        m.apply(run(m.Kind.ORDER, *SENT, m.Mined(*BLOCK)), m.Replaced(bytes(32), INTENT.nonce))


def test_what_another_relayer_completed_is_done_between_steps_only() -> None:
    sending = (m.Verified(), m.Intended(STEP), m.Broadcast())
    for events in (sending[:2], sending):
        item = run(m.Kind.PACKET, *events)
        for event in (m.AlreadyDone(*BLOCK), m.Intended(INTENT)):
            with pytest.raises(m.IllegalEvent):
                m.apply(item, event)
    done = run(m.Kind.PACKET, *sending, m.Mined(*BLOCK), m.AlreadyDone(*BLOCK), m.Finalised())
    assert (done.state, done.intent) == (m.State.FINAL, None)


def test_a_reorganisation_sends_the_same_transaction_again() -> None:
    item = run(m.Kind.ORDER, *SENT, m.Mined(*BLOCK), m.Reorged())
    assert (item.state, item.intent, item.block_hash) == (m.State.SENT, INTENT, None)
    found = run(m.Kind.ORDER, *CLEARED, m.AlreadyDone(*BLOCK), m.Reorged())
    assert (found.state, found.intent) == (m.State.CLEARED, None)


def test_a_nonce_is_given_up_only_when_that_is_final() -> None:
    taken = run(m.Kind.ORDER, *SENT, m.NonceTaken(*BLOCK))
    assert taken.intent == INTENT
    assert m.apply(taken, m.Reorged()).block_hash is None
    lost = m.apply(taken, m.IntentLost(99))
    assert (lost.state, lost.intent, lost.next_attempt_ms) == (m.State.CLEARED, None, 99)
    with pytest.raises(m.IllegalEvent):
        m.apply(run(m.Kind.ORDER, *SENT), m.IntentLost(0))


@pytest.mark.parametrize(
    ("events", "event"),
    [
        ((), m.Cleared()),
        ((), m.Intended(INTENT)),
        ((m.Verified(),), m.Intended(INTENT)),
        (SENT, m.Refused("x", "y")),
        (SENT, m.Held("x", "y", "z")),
        (SENT, m.Resubmitted()),
        (SENT, m.Intended(INTENT)),
        (SENT, m.Replaced(bytes(32), 5)),
        (SENT, m.Finalised()),
        ((*SENT, m.Mined(*BLOCK)), m.Reverted("x", "y", 0)),
        ((*SENT, m.Mined(*BLOCK), m.Finalised()), m.Reorged()),
        ((m.Refused("x", "y"),), m.Resubmitted()),
    ],
)
def test_what_cannot_happen(events: tuple[m.Event, ...], event: m.Event) -> None:
    item = run(m.Kind.ORDER, *events)
    with pytest.raises(m.IllegalEvent):
        m.apply(item, event)


def test_backoff_doubles_up_to_a_minute() -> None:
    waits = [m.backoff_ms(n) for n in range(20)]
    assert waits[:4] == [500, 1000, 2000, 4000]
    assert waits[-1] == m.LONGEST_RETRY_MS
    item = run(m.Kind.ORDER, *CLEARED)
    for attempt in range(3):
        item = m.apply(item, m.Deferred("X", "x", "", attempt))
    assert item.attempts == 3
    assert m.apply(m.apply(item, m.Intended(INTENT)), m.Broadcast()).attempts == 3
    assert m.apply(m.apply(item, m.Intended(INTENT)), m.Mined(*BLOCK)).attempts == 0
