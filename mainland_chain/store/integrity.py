"""Does a database agree with itself? Looked at once, when it is opened, at a cost that does not grow with the
chain."""

from __future__ import annotations

from typing import Protocol

from lianqiao_base.errors import Fatal
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.tree import merkle_root, root
from mainland_chain.state.block import Head, Header
from mainland_chain.store.codec import corrupt


class Contents(Protocol):
    """What the check reads."""

    def head(self) -> Head | None: ...
    def header_at(self, height: int) -> Header | None: ...
    def result_leaves(self, height: int) -> tuple[bytes, ...]: ...
    def certified(self, height: int | None = None) -> CertifiedCheckpoint | None: ...
    def log_node(self, level: int, index: int) -> bytes: ...
    def claim_count(self) -> int: ...


class _Nodes:
    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def get(self, level: int, index: int) -> bytes:
        return self._contents.log_node(level, index)


def check(contents: Contents, chain_id: bytes) -> None:
    """Raise `Fatal("STORE_CORRUPT")` at the first contradiction.

    Plan: (1) the head is of this ledger and hashes to what is stored; (2) it follows its predecessor; (3) its
    results hash to its results root; (4) the export log has as many claims as it says and hashes to its root; (5)
    the newest certificate is for a block that is here, and no newer.
    """
    head = contents.head()
    if head is None:
        if contents.claim_count() or contents.certified() is not None:
            raise corrupt("claims or certificates without a block", "height 0")
        return
    header, subject = head.header, f"height {head.header.height}"
    if header.chain_id != chain_id:
        raise Fatal(
            "WRONG_CHAIN", "the newest block is of another ledger", subject=subject, hint="check the genesis file"
        )
    if header.hash() != head.header_hash:
        raise corrupt("the newest header does not hash to its stored hash", subject)
    _check_link(contents, header, chain_id, subject)
    leaves = contents.result_leaves(header.height)
    if merkle_root(SM3, [SM3.leaf(leaf) for leaf in leaves]) != header.results_root:
        raise corrupt("the newest block's results do not hash to its results root", subject)
    if contents.claim_count() != header.export_log_size:
        raise corrupt(f"{contents.claim_count()} claims, but the header says {header.export_log_size}", subject)
    if root(_Nodes(contents), KECCAK, header.export_log_size) != header.export_log_root:
        raise corrupt("the export log does not hash to its root", subject)
    _check_certificate(contents, header)


def _check_link(contents: Contents, header: Header, chain_id: bytes, subject: str) -> None:
    if header.height == 1:
        expected = chain_id
    else:
        previous = contents.header_at(header.height - 1)
        if previous is None:
            raise corrupt("the block before the newest one is missing", subject)
        expected = previous.hash()
    if header.previous_header_hash != expected:
        raise corrupt("the newest block does not follow its predecessor", subject)


def _check_certificate(contents: Contents, head: Header) -> None:
    certified = contents.certified()
    if certified is None:
        return
    height = certified.checkpoint.height
    header = contents.header_at(height) if height <= head.height else None
    if header is None or header.checkpoint() != certified.checkpoint:
        raise corrupt("the newest certificate is not for the block of its height", f"height {height}")
