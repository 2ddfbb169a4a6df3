"""The one error of proofs and trees; its `code` says which check failed."""

from __future__ import annotations

from typing import Literal

from lianqiao_base.errors import Rejected

ProofErrorCode = Literal[
    "BAD_HASH_LENGTH",  # a root, leaf hash or proof element is not as long as the digest
    "EMPTY_TREE",  # a proof from or into a tree of size 0 shows nothing
    "INDEX_OUT_OF_RANGE",  # leaf index is negative, or not below the size
    "SIZE_OUT_OF_RANGE",  # size is negative, beyond u64, or the first size exceeds the second
    "PROOF_TOO_SHORT",
    "PROOF_TOO_LONG",
    "ROOT_MISMATCH",  # the proof does not lead to the given root
    "BAD_FRONTIER",  # the stored subtree hashes are not those of a tree of this size
]


class ProofError(Rejected):
    """A Merkle proof, or a request for one, is not acceptable."""

    def __init__(self, code: ProofErrorCode, message: str) -> None:
        super().__init__(code, message, hint="ask the log for the proof again, at the same sizes")
