"""Proof that the mainland quorum contradicted itself, as this node reports it to the light client. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mainland_chain.crypto.keccak import keccak256
from mainland_chain.light.types import CertifiedCheckpoint, Rotation

_TAG = b"lianqiao.equivocation.v1"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two certified checkpoints of one height, and the rotations that lead from genesis to the set that certified both."""

    first: CertifiedCheckpoint
    second: CertifiedCheckpoint
    rotations: tuple[Rotation, ...]

    @property
    def item_id(self) -> bytes:
        """`keccak("lianqiao.equivocation.v1" ‖ digest of the first ‖ digest of the second)`."""
        return keccak256(_TAG + self.first.checkpoint.digest() + self.second.checkpoint.digest())
