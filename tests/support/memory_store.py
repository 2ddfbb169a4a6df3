"""A ledger store in memory, with the production interface: for tests of the pure application."""

from __future__ import annotations

from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.state.block import BlockCommit, Head, Header, LoggedClaim, StoredRecord, StoredTransaction


class MemoryStore:
    def __init__(self) -> None:
        self.blocks: list[BlockCommit] = []
        self._state: dict[str, bytes] = {}
        self._records: dict[bytes, StoredRecord] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._claims: list[LoggedClaim] = []
        self._transactions: dict[bytes, StoredTransaction] = {}
        self._certified: dict[int, CertifiedCheckpoint] = {}

    def copy(self) -> MemoryStore:
        """A store with the same contents, from here on apart."""
        twin = MemoryStore()
        for name, value in vars(self).items():
            setattr(twin, name, value.copy())
        return twin

    def everything(self) -> tuple[dict[str, bytes], dict[bytes, StoredRecord], tuple[LoggedClaim, ...]]:
        """State, records and export log, to compare before and after."""
        return dict(self._state), dict(self._records), tuple(self._claims)

    def head(self) -> Head | None:
        return Head(self.blocks[-1].header, self.blocks[-1].header_hash) if self.blocks else None

    def state(self, key: str) -> bytes | None:
        return self._state.get(key)

    def record(self, record_id: bytes) -> StoredRecord | None:
        return self._records.get(record_id)

    def log_node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]

    def claim(self, index: int) -> LoggedClaim | None:
        return self._claims[index] if index < len(self._claims) else None

    def transaction(self, tx_hash: bytes) -> StoredTransaction | None:
        return self._transactions.get(tx_hash)

    def header_at(self, height: int) -> Header | None:
        return self.blocks[height - 1].header if 0 < height <= len(self.blocks) else None

    def result_leaves(self, height: int) -> tuple[bytes, ...]:
        return self.blocks[height - 1].result_leaves

    def commit(self, block: BlockCommit) -> None:
        self.blocks.append(block)
        for key, value in block.writes:
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        self._records.update({r.record_id: r for r in block.records})
        self._nodes.update({(n.level, n.index): n.hash for n in block.log_nodes})
        self._claims += block.claims
        for index, (raw, result) in enumerate(zip(block.transactions, block.results, strict=True)):
            before = self._transactions.get(result.tx_hash)
            if before is None or not before.result.ok:
                self._transactions[result.tx_hash] = StoredTransaction(block.header.height, index, raw, result)

    def save_certificate(self, certified: CertifiedCheckpoint) -> None:
        self._certified[certified.checkpoint.height] = certified

    def certified(self, height: int | None = None) -> CertifiedCheckpoint | None:
        return self._certified.get(max(self._certified, default=0) if height is None else height)

    def certified_from(self, height: int, limit: int) -> tuple[CertifiedCheckpoint, ...]:
        return tuple(self._certified[h] for h in sorted(self._certified) if h >= height)[:limit]
