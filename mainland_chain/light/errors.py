"""Refusals of the light verifier. `code` is one of the names below and is shared with the Solidity side's error vectors."""

from __future__ import annotations

from lianqiao_base.errors import Fatal, Rejected


class VerificationError(Rejected):
    """Evidence that does not hold. The evidence, not the verifier, must change."""


class Equivocation(Fatal):
    """Two valid certificates over different checkpoints of one height: the quorum itself lied. Carries both, as evidence."""

    def __init__(self, first: bytes, second: bytes, height: int) -> None:
        super().__init__(
            "EQUIVOCATION",
            f"two valid certificates for different checkpoints at height {height}",
            subject=f"height {height}",
            hint="stop relaying; publish both checkpoints; the client stays frozen",
            data={"first": first.hex(), "second": second.hex(), "height": str(height)},
        )
