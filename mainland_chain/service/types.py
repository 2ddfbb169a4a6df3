"""Proofs as the service gives them and the client gets them. Verify them with `mainland_chain.log`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """`leaf_data` is leaf `index` of a tree of `size` leaves with `root`."""

    index: int
    size: int
    leaf_data: bytes
    """The claim, or the result bytes."""
    path: tuple[bytes, ...]
    """Siblings from leaf to root."""
    root: bytes
    header: bytes = b""
    """Encoded header of the block, for a result."""


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The log of `first` claims is a prefix of the log of `second`."""

    first: int
    second: int
    first_root: bytes
    second_root: bytes
    path: tuple[bytes, ...]
