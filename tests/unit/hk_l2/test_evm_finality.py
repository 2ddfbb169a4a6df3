"""Finality: the rules, and the reader that must notice reorganisations and tags that go back."""

from __future__ import annotations

import pytest
from evm_chain import Chain

from hk_l2.chain import BlockStamp
from hk_l2.errors import FinalityRegressed
from hk_l2.finality import FinalityReader, FinalityState, Observation, evaluate
from hk_l2.network import DepthRule, ImmediateRule, TagRule
from lianqiao_base.errors import NotFound

IMMEDIATE = ImmediateRule(kind="immediate")
DEPTH = DepthRule(kind="depth", blocks=3)
TAG = TagRule(kind="tag", tag="finalized")
OURS = BlockStamp(10, b"\x0a" * 32, 1000)


def observe(canonical: BlockStamp | None = OURS, head: int = 10, tagged: int | None = None) -> Observation:
    return Observation(10, OURS.hash, canonical, head, tagged)


@pytest.mark.parametrize(
    ("rule", "observation", "state"),
    [
        (IMMEDIATE, observe(), FinalityState.FINAL),
        (DEPTH, observe(head=12), FinalityState.PENDING),
        (DEPTH, observe(head=13), FinalityState.FINAL),
        (TAG, observe(head=500, tagged=None), FinalityState.PENDING),
        (TAG, observe(head=500, tagged=9), FinalityState.PENDING),
        (TAG, observe(head=500, tagged=10), FinalityState.FINAL),
    ],
)
def test_rules(rule: ImmediateRule | DepthRule | TagRule, observation: Observation, state: FinalityState) -> None:
    report = evaluate(rule, observation)
    assert (report.state, report.stamp) == (state, OURS)


@pytest.mark.parametrize("rule", [IMMEDIATE, DEPTH, TAG])
@pytest.mark.parametrize("canonical", [None, BlockStamp(10, b"\x0b" * 32, 1000)])
def test_another_block_or_none_is_a_reorganisation(
    rule: ImmediateRule | DepthRule | TagRule, canonical: BlockStamp | None
) -> None:
    report = evaluate(rule, observe(canonical, head=500, tagged=400))
    assert (report.state, report.stamp) == (FinalityState.REORGED, None)


class ScriptedClient:
    """Answers from a script; the newest block is `head`, the tag is at `tagged`."""

    def __init__(self) -> None:
        self.head = 20
        self.tagged: int | None = 5
        self.hashes = {number: bytes([number]) * 32 for number in range(100)}

    def block_stamp(self, block: int | str) -> BlockStamp:
        number = self.head if block == "latest" else self.tagged if isinstance(block, str) else block
        if number is None or number > self.head:
            raise NotFound("BLOCK_NOT_FOUND", "no such block")
        return BlockStamp(number, self.hashes[number], 1000 + number)


def test_reader_follows_the_tag() -> None:
    node = ScriptedClient()
    reader = FinalityReader(node, TAG)  # type: ignore[arg-type]
    mined = node.block_stamp(10)
    assert reader.check(10, mined.hash).state is FinalityState.PENDING
    node.tagged = 10
    assert reader.check(10, mined.hash) == evaluate(TAG, Observation(10, mined.hash, mined, 20, 10))
    node.tagged = None
    assert reader.check(10, mined.hash).state is FinalityState.PENDING


def test_reader_stops_when_the_tag_goes_back() -> None:
    node = ScriptedClient()
    reader = FinalityReader(node, TAG)  # type: ignore[arg-type]
    node.tagged = 12
    reader.check(10, node.hashes[10])
    node.tagged = 11
    with pytest.raises(FinalityRegressed, match="from 12 back to 11"):
        reader.check(10, node.hashes[10])


def test_reader_notices_a_reorganisation() -> None:
    node = ScriptedClient()
    reader = FinalityReader(node, DEPTH)  # type: ignore[arg-type]
    mined = node.block_stamp(10).hash
    assert reader.check(10, mined).state is FinalityState.FINAL
    node.hashes[10] = b"other block".ljust(32)
    assert reader.check(10, mined).state is FinalityState.REORGED
    node.head = 9
    assert reader.check(10, mined).state is FinalityState.REORGED


def test_reader_on_a_chain(chain: Chain) -> None:
    stamp = chain.client.block_stamp()
    assert FinalityReader(chain.client, IMMEDIATE).check(stamp.number, stamp.hash).state is FinalityState.FINAL
    assert FinalityReader(chain.client, DEPTH).check(stamp.number, stamp.hash).state is FinalityState.PENDING
    assert FinalityReader(chain.client, TAG).check(stamp.number, bytes(32)).state is FinalityState.REORGED
