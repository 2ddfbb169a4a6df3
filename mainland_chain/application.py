"""The ledger application: one class behind every engine (docs/architecture.md). It is told about transactions and blocks and
decides; it never asks the clock, and it writes only in `commit`.

Per block: `prepare` (proposer), `process`, `finalize`, `commit`; then, for the block just committed, `extend_vote`, `verify_vote` and
`certificate`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lianqiao_base.errors import Fatal, Rejected
from mainland_chain.crypto import sm2
from mainland_chain.crypto.protocols import Signer, sign
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import CertifiedCheckpoint, QuorumCertificate, ValidatorSet
from mainland_chain.log.hashing import KECCAK
from mainland_chain.log.tree import CompactRange
from mainland_chain.records.record import decode_record
from mainland_chain.records.visibility import FieldView, view_fields
from mainland_chain.state import codec
from mainland_chain.state.apply import apply_transaction
from mainland_chain.state.block import BlockCommit, Head, LedgerStore, StoredRecord
from mainland_chain.state.entities import Member, Role
from mainland_chain.state.execution import Executed, execute_block, genesis_overlay
from mainland_chain.state.exporting import BlockPoint
from mainland_chain.state.signatures import required_signatures, verify_signatures
from mainland_chain.state.transactions import ParsedTransaction
from mainland_chain.state.view import Overlay, StateReader, member_key, read, tls_key
from mainland_chain.wire import parse

MAX_BLOCK_BYTES = 4 * 1024 * 1024
_PARSED, _VERIFIED, _STATE = 1024, 65_536, 65_536
TAG_BYTES = 32

V = TypeVar("V")


class _Recent(Generic[V]):
    """A bounded, thread-safe least-recently-used map."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[object, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> V | None:
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: object, value: V) -> None:
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > self._limit:
                self._items.popitem(last=False)


class _Committed:
    """Committed state with a cache in front of the store; the application alone writes, so the cache is always true."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._cache: _Recent[tuple[bytes | None]] = _Recent(_STATE)
        self._commits = 0
        self._lock = threading.Lock()

    def state(self, key: str) -> bytes | None:
        hit = self._cache.get(key)
        if hit is None:
            commits = self._commits
            hit = (self._store.state(key),)
            with self._lock:
                # What was read before a commit must not be remembered after it.
                if commits == self._commits:
                    self._cache.put(key, hit)
        return hit[0]

    def record(self, record_id: bytes) -> StoredRecord | None:
        return self._store.record(record_id)

    def has_transaction(self, tx_hash: bytes) -> bool:
        """Was it accepted? A refused one is not on the ledger: else anybody could burn a transaction by sending it first with a
        signature that does not verify (the hash does not cover signatures)."""
        found = self._store.transaction(tx_hash)
        return found is not None and found.result.ok

    def refresh(self, writes: Sequence[tuple[str, bytes | None]]) -> None:
        with self._lock:
            self._commits += 1
            for key, value in writes:
                self._cache.put(key, (value,))


class _LogNodes:
    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def get(self, level: int, index: int) -> bytes:
        return self._store.log_node(level, index)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block that is proposed. `transactions` are serialized SignedTransaction messages."""

    height: int
    time_ms: int
    transactions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class VoteExtension:
    """One validator's SM2 signature over the checkpoint of a committed block."""

    height: int
    header_hash: bytes
    digest: bytes
    org_id: bytes
    signature: bytes


class Application:
    """State machine, mempool view and voting of one node."""

    def __init__(self, genesis: Genesis, store: LedgerStore) -> None:
        self.genesis = genesis
        self.chain_id = genesis.chain_id
        self.validators: ValidatorSet = genesis.validator_set()
        self._store = store
        self._committed = _Committed(store)
        self._head = store.head()
        if self._head is not None and self._head.header.chain_id != self.chain_id:
            raise Fatal("WRONG_CHAIN", "the store belongs to another ledger", hint="use this genesis' own store")
        size = self._head.header.export_log_size if self._head else 0
        self._frontier = CompactRange.load(_LogNodes(store), KECCAK, size)
        self._parsed: _Recent[ParsedTransaction] = _Recent(_PARSED)
        self._verified: _Recent[bool] = _Recent(_VERIFIED)
        self._finalized: Executed | None = None
        self._check = self._base_overlay()

    @property
    def head(self) -> Head | None:
        """Newest committed block."""
        return self._head

    @property
    def next_height(self) -> int:
        return self._head.header.height + 1 if self._head else 1

    # -- transactions -------------------------------------------------------------------------------------------------

    def parse(self, raw: bytes) -> ParsedTransaction:
        """Strict parse, cached. Raises `MalformedTransaction`."""
        key = sm3(raw)
        tx = self._parsed.get(key)
        if tx is None:
            tx = parse(raw)
            self._parsed.put(key, tx)
        return tx

    def precheck(self, raw: bytes) -> bytes:
        """Everything about `raw` that does not depend on other pending transactions. Thread-safe; the costly part.

        Returns the transaction hash. Raises `MalformedTransaction` or `TransactionRefused`.
        """
        tx = self.parse(raw)
        self._verify(tx, self._base_overlay() if self._head is None else self._committed)
        return tx.tx_hash

    def check(self, raw: bytes, now_ms: int) -> bytes:
        """Would `raw` be accepted after all that was checked since `begin_check`? Not thread-safe.

        Returns the transaction hash. Raises `MalformedTransaction` or `TransactionRefused`.
        """
        tx = self.parse(raw)
        self._verify(tx, self._check)
        # Claims get their log index at execution; here it only serves refusal texts.
        point = BlockPoint(self.chain_id, self.next_height, now_ms, self._frontier.size)
        effects = apply_transaction(self._check, tx, point)
        self._check.merge(effects.overlay)
        return tx.tx_hash

    def begin_check(self) -> None:
        """Forget what was checked: start again from the last commit."""
        self._check = self._base_overlay()

    def _base_overlay(self) -> Overlay:
        # Before block 1 the genesis state is not in the store yet.
        return genesis_overlay(self._committed, self.genesis) if self._head is None else Overlay(self._committed)

    def _verify(self, tx: ParsedTransaction, reader: StateReader) -> None:
        checks = required_signatures(tx, self.chain_id, reader)
        # What was verified is fixed by the raw bytes, the keys and the purposes (the tags that begin the messages); a registration
        # that differs between pending and committed state asks again.
        # Hashed, for there may be a thousand of them.
        key = sm3(tx.raw) + sm3(b"".join([c.public_key + c.message[:TAG_BYTES] for c in checks]))
        if self._verified.get(key) is None:
            verify_signatures(checks)
            self._verified.put(key, True)

    # -- blocks -------------------------------------------------------------------------------------------------------

    def prepare(self, height: int, time_ms: int, raws: Sequence[bytes]) -> Proposal:
        """A proposal of as many of `raws`, in order, as fit a block; bytes that are no transaction are left out."""
        chosen: list[bytes] = []
        size = 0
        for raw in raws:
            if size + len(raw) > MAX_BLOCK_BYTES and chosen:
                break
            try:
                self.parse(raw)
            except Rejected:
                continue
            chosen.append(raw)
            size += len(raw)
        return Proposal(height, time_ms, tuple(chosen))

    def process(self, proposal: Proposal) -> None:
        """Raise `Rejected("BAD_PROPOSAL")` unless `proposal` may become the next block."""
        if proposal.height != self.next_height:
            raise Rejected("BAD_PROPOSAL", f"height {proposal.height} proposed, {self.next_height} is next")
        earliest = self._head.header.time_ms + 1 if self._head else self.genesis.created_ms
        if proposal.time_ms < earliest:
            raise Rejected("BAD_PROPOSAL", f"time {proposal.time_ms} is before {earliest}")
        if sum(map(len, proposal.transactions)) > MAX_BLOCK_BYTES and len(proposal.transactions) > 1:
            raise Rejected("BAD_PROPOSAL", f"more than {MAX_BLOCK_BYTES} bytes of transactions")
        for raw in proposal.transactions:
            self.parse(raw)

    def finalize(self, proposal: Proposal) -> BlockCommit:
        """Execute the block. Deterministic; persists nothing."""
        initial = genesis_overlay(self._committed, self.genesis) if self._head is None else None
        point = BlockPoint(self.chain_id, proposal.height, proposal.time_ms, self._frontier.size)
        self._finalized = execute_block(
            self._committed,
            self._head,
            self._frontier,
            self.validators,
            point,
            [self.parse(raw) for raw in proposal.transactions],
            self._verify,
            initial,
        )
        return self._finalized.block

    def commit(self) -> Head:
        """Persist the finalized block in one transaction of the store."""
        if self._finalized is None:
            raise Fatal("NOTHING_FINALIZED", "commit without finalize")
        executed, self._finalized = self._finalized, None
        self._store.commit(executed.block)
        self._committed.refresh(executed.block.writes)
        self._frontier = executed.frontier
        self._head = Head(executed.block.header, executed.block.header_hash)
        return self._head

    # -- votes --------------------------------------------------------------------------------------------------------

    def extend_vote(self, signer: Signer, org_id: bytes) -> VoteExtension:
        """Sign the checkpoint of the last committed block, and verify the vote exactly as others will."""
        head = self._require_head()
        checkpoint = head.header.checkpoint()
        vote = VoteExtension(
            checkpoint.height,
            head.header_hash,
            checkpoint.digest(),
            org_id,
            sign(signer, checkpoint.signing_message()),
        )
        self.verify_vote(vote)
        return vote

    def verify_vote(self, vote: VoteExtension) -> None:
        """Raise `VerificationError` unless `vote` is a validator's over the last committed block."""
        head = self._require_head()
        checkpoint = head.header.checkpoint()
        expected = (checkpoint.height, head.header_hash, checkpoint.digest())
        if (vote.height, vote.header_hash, vote.digest) != expected:
            raise VerificationError("WRONG_VOTE", "the vote is about another block", subject=vote.org_id.hex())
        key = next((m.public_key for m in self.validators.members if m.org_id == vote.org_id), None)
        if key is None:
            raise VerificationError("UNKNOWN_VALIDATOR", "not a validator of this epoch", subject=vote.org_id.hex())
        if not sm2.verify(key, checkpoint.signing_message(), vote.signature):
            raise VerificationError("BAD_SIGNATURE", "the vote's signature does not verify", subject=vote.org_id.hex())

    def certificate(self, votes: Sequence[VoteExtension]) -> CertifiedCheckpoint:
        """The canonical certificate of `votes`. Raises `VerificationError`: NO_QUORUM and all that `verify_vote` raises."""
        by_org = {}
        for vote in votes:
            self.verify_vote(vote)
            by_org[vote.org_id] = vote.signature
        bitmap, signatures = 0, []
        for index, member in enumerate(self.validators.members):
            if member.org_id in by_org:
                bitmap |= 1 << index
                signatures.append(by_org[member.org_id])
        certificate = QuorumCertificate(bitmap, tuple(signatures))
        checkpoint = self._require_head().header.checkpoint()
        verify_certificate(checkpoint, certificate, self.validators)
        return CertifiedCheckpoint(checkpoint, certificate)

    def _require_head(self) -> Head:
        if self._head is None:
            raise Fatal("NO_BLOCK", "there is no committed block to vote on")
        return self._head

    # -- queries ------------------------------------------------------------------------------------------------------

    def member_by_tls(self, fingerprint: bytes) -> Member | None:
        """The member whose client certificate has this SHA-256 fingerprint."""
        reader = self._base_overlay()
        raw = reader.state(tls_key(fingerprint))
        return None if raw is None else read(reader, Member, member_key(codec.decode(str, raw)))

    def member(self, member_id: str) -> Member | None:
        return read(self._base_overlay(), Member, member_key(member_id))

    def view_record(self, record: StoredRecord, member: Member) -> list[FieldView]:
        """The record's fields as `member` may see them."""
        return view_fields(
            decode_record(record.data),
            owner=member.organisation_id == record.organisation_id,
            regulator=member.role is Role.REGULATOR,
        )
