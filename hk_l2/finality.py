"""When a mined transaction may be called done. The rule is pure; the reader only asks the node what the rule needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hk_l2.chain import BlockStamp
from hk_l2.errors import FinalityRegressed
from hk_l2.evm import EvmClient
from hk_l2.network import DepthRule, FinalityRule, ImmediateRule, TagRule
from lianqiao_base.errors import NotFound


class FinalityState(StrEnum):
    """Where a block stands."""

    PENDING = "pending"
    FINAL = "final"
    REORGED = "reorged"


@dataclass(frozen=True, slots=True)
class Observation:
    """What the node says, at one time, about a block we rely on."""

    number: int
    """Height of the block we rely on."""
    expected_hash: bytes
    """Its hash in the receipt."""
    canonical: BlockStamp | None
    """What the node has at that height now; None when it has nothing there."""
    head: int
    tagged: int | None
    """Height of the rule's tag; None where the rule has no tag, or the node no such block yet."""


@dataclass(frozen=True, slots=True)
class FinalityReport:
    """Verdict, with the stamp to keep when it is final."""

    state: FinalityState
    stamp: BlockStamp | None
    """The block as it is on the chain now; None when reorganised away."""
    reached: int
    """Height up to which the rule calls blocks final."""
    rule: str


def describe(rule: FinalityRule) -> str:
    """The rule in words, for traces and evidence."""
    match rule:
        case ImmediateRule():
            return "immediate: one process, no consensus; nothing protects the chain from its operator"
        case DepthRule(blocks=blocks):
            return f"depth: {blocks} blocks on top"
        case TagRule(tag=tag):
            return f"tag: {tag}"


def final_height(rule: FinalityRule, head: int, tagged: int | None) -> int:
    """Height up to which blocks are final; -1 when none is."""
    match rule:
        case ImmediateRule():
            return head
        case DepthRule(blocks=blocks):
            return head - blocks
        case TagRule():
            return -1 if tagged is None else tagged


def evaluate(rule: FinalityRule, observation: Observation) -> FinalityReport:
    """Applies the rule. A different hash at the height, or no block there, means the block was reorganised away."""
    reached = final_height(rule, observation.head, observation.tagged)
    canonical = observation.canonical
    if canonical is None or canonical.hash != observation.expected_hash:
        return FinalityReport(FinalityState.REORGED, None, reached, describe(rule))
    state = FinalityState.FINAL if observation.number <= reached else FinalityState.PENDING
    return FinalityReport(state, canonical, reached, describe(rule))


class FinalityReader:
    """Observes a node under one rule. Remembers how far the rule's tag had come: it must never go back."""

    def __init__(self, client: EvmClient, rule: FinalityRule) -> None:
        self._client = client
        self._rule = rule
        self._furthest = -1

    def check(self, number: int, block_hash: bytes) -> FinalityReport:
        """Finality of the block that a receipt names. Raises `FinalityRegressed` when the tag moved backwards."""
        # The tag first, the block last: a block that is reorganised away in between is then seen as such.
        tagged = self._tagged()
        head = self._client.block_stamp("latest").number
        return evaluate(self._rule, Observation(number, block_hash, self._block(number), head, tagged))

    def _tagged(self) -> int | None:
        if not isinstance(self._rule, TagRule):
            return None
        try:
            height = self._client.block_stamp(self._rule.tag).number
        except NotFound:
            return None
        if height < self._furthest:
            raise FinalityRegressed(
                "FINALITY_REGRESSED",
                f"the {self._rule.tag} block went from {self._furthest} back to {height}",
                hint="stop relying on this node and compare with another one",
            )
        self._furthest = height
        return height

    def _block(self, number: int) -> BlockStamp | None:
        try:
            return self._client.block_stamp(number)
        except NotFound:
            return None
