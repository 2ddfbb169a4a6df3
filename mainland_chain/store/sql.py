"""`LedgerStore` over SQLAlchemy Core: one commit is one database transaction, a read sees the last commit.
Thread-safe."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lianqiao_base.errors import Fatal, Retryable
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.state.block import (
    BlockCommit,
    Head,
    Header,
    LoggedClaim,
    StoredRecord,
    StoredTransaction,
    TransactionResult,
    decode_header,
)
from mainland_chain.store import codec, integrity, models
from mainland_chain.store.cache import ReadCache
from mainland_chain.store.codec import corrupt

# Parameters of one DELETE; far below every database's limit.
_DELETE_CHUNK = 500
_STATE_CACHE = 65_536
_NODE_CACHE = 65_536

_b = models.blocks.c
_t = models.transactions.c
_c = models.certificates.c

# Built once: building a statement costs more than running it.
_HEAD = sa.select(_b.header, _b.header_hash).order_by(_b.height.desc()).limit(1)
_HEADER = sa.select(_b.header).where(_b.height == sa.bindparam("height"))
_STATE = sa.select(models.state_entries.c.value).where(models.state_entries.c.key == sa.bindparam("key"))
_RECORD = sa.select(models.records).where(models.records.c.record_id == sa.bindparam("record_id"))
_NODE = sa.select(models.log_nodes.c.hash).where(
    models.log_nodes.c.level == sa.bindparam("level"), models.log_nodes.c.node_index == sa.bindparam("node_index")
)
_CLAIM = sa.select(models.claims).where(models.claims.c.log_index == sa.bindparam("log_index"))
_CLAIM_COUNT = sa.select(sa.func.max(models.claims.c.log_index))
_TRANSACTION = (
    sa.select(models.transactions)
    .where(_t.tx_hash == sa.bindparam("tx_hash"))
    # The block that accepted it, or else the last one that refused it.
    .order_by((_t.code == "OK").desc(), _t.height.desc(), _t.position.desc())
    .limit(1)
)
_LEAVES = sa.select(_t.result_leaf).where(_t.height == sa.bindparam("height")).order_by(_t.position)
_CERTIFICATE_COLUMNS = (_c.checkpoint, _c.bitmap, _c.signatures)
_CERTIFIED_AT = sa.select(*_CERTIFICATE_COLUMNS).where(_c.height == sa.bindparam("height"))
_CERTIFIED_NEWEST = sa.select(*_CERTIFICATE_COLUMNS).order_by(_c.height.desc()).limit(1)
_CERTIFIED_FROM = (
    sa.select(*_CERTIFICATE_COLUMNS)
    .where(_c.height >= sa.bindparam("height"))
    .order_by(_c.height)
    .limit(sa.bindparam("count", type_=sa.Integer))
)


class SqlLedgerStore:
    """One ledger in one database. Opening checks that it is the ledger `chain_id` and that it agrees with itself.

    Raises `Fatal` (`STORE_CORRUPT`, `WRONG_CHAIN`, `STORE_SCHEMA`) and `Retryable` (`STORE_UNAVAILABLE`).
    """

    def __init__(self, url: str | sa.URL, chain_id: bytes) -> None:
        self._chain_id = chain_id
        self._engine = _create_engine(sa.make_url(url))
        self._state = ReadCache[str, bytes | None](_STATE_CACHE)
        self._nodes = ReadCache[tuple[int, int], bytes](_NODE_CACHE)
        self._writing = threading.Lock()
        self._lock: BinaryIO | None = None
        try:
            self._claim_database()
            self._head = self._read_head()
            integrity.check(self, chain_id)
        except BaseException:
            self._engine.dispose()
            raise

    @classmethod
    def open_file(cls, path: Path, chain_id: bytes) -> Self:
        """A SQLite database at `path`, made if it is not there, readable by its owner only, and of this process
        only until it closes: a second one gets `Fatal("STORE_IN_USE")`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        lock = _lock_file(path)
        try:
            store = cls(sa.URL.create("sqlite", database=str(path)), chain_id)
        except BaseException:
            lock.close()
            raise
        store._lock = lock
        return store

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for migrations and for measuring."""
        return self._engine

    def close(self) -> None:
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    # --- reads -------------------------------------------------------------------------------------------------------

    def head(self) -> Head | None:
        return self._head

    def state(self, key: str) -> bytes | None:
        found, value = self._state.get(key)
        if found:
            return value
        generation = self._state.generation
        stored: bytes | None = self._scalar(_STATE, key=key)
        self._state.put(key, stored, generation)
        return stored

    def record(self, record_id: bytes) -> StoredRecord | None:
        row = self._one(_RECORD, record_id=record_id)
        if row is None:
            return None
        return StoredRecord(
            row.record_id, row.record_type, row.tx_hash, row.height, row.organisation_id, row.root, row.data
        )

    def log_node(self, level: int, index: int) -> bytes:
        found, value = self._nodes.get((level, index))
        if found and value is not None:
            return value
        generation = self._nodes.generation
        stored: bytes | None = self._scalar(_NODE, level=level, node_index=index)
        if stored is None:
            raise corrupt("a node of the export log is missing", f"node {level}/{index}")
        self._nodes.put((level, index), stored, generation)
        return stored

    def claim(self, index: int) -> LoggedClaim | None:
        row = self._one(_CLAIM, log_index=index)
        if row is None:
            return None
        return LoggedClaim(row.log_index, row.claim, row.leaf, row.tx_hash, codec.split(row.record_ids, codec.WORD))

    def claim_count(self) -> int:
        newest = self._scalar(_CLAIM_COUNT)
        return 0 if newest is None else int(newest) + 1

    def transaction(self, tx_hash: bytes) -> StoredTransaction | None:
        row = self._one(_TRANSACTION, tx_hash=tx_hash)
        if row is None:
            return None
        return StoredTransaction(row.height, row.position, row.signed, codec.result_from_row(row))

    def header_at(self, height: int) -> Header | None:
        data = self._scalar(_HEADER, height=height)
        return None if data is None else decode_header(data)

    def result_leaves(self, height: int) -> tuple[bytes, ...]:
        return tuple(row[0] for row in self._all(_LEAVES, height=height))

    def certified(self, height: int | None = None) -> CertifiedCheckpoint | None:
        row = self._one(_CERTIFIED_NEWEST) if height is None else self._one(_CERTIFIED_AT, height=height)
        return None if row is None else codec.certified_from_row(row)

    def certified_from(self, height: int, limit: int) -> tuple[CertifiedCheckpoint, ...]:
        return tuple(codec.certified_from_row(row) for row in self._all(_CERTIFIED_FROM, height=height, count=limit))

    # --- writes ------------------------------------------------------------------------------------------------------

    def commit(self, block: BlockCommit) -> None:
        """Write the whole block in one transaction. Raises `Fatal("NOT_NEXT_BLOCK")` for one that does not follow
        the head."""
        with self._writing:
            self._require_next(block)
            with _translated(f"height {block.header.height}"), self._engine.begin() as connection:
                self._insert_block(connection, block)
            self._state.update(dict(block.writes))
            self._nodes.update({(n.level, n.index): n.hash for n in block.log_nodes})
            self._head = Head(block.header, block.header_hash)

    def save_certificate(self, certified: CertifiedCheckpoint) -> None:
        """Store the certificate of a committed block. A second one for the same checkpoint changes nothing; one for
        another checkpoint of that height raises `Fatal("CERTIFICATE_CONFLICT")`."""
        checkpoint = certified.checkpoint
        subject = f"height {checkpoint.height}"
        with self._writing:
            header = self.header_at(checkpoint.height)
            if header is None or header.checkpoint() != checkpoint:
                raise Fatal(
                    "CERTIFICATE_CONFLICT", "the certificate is not for the block of its height", subject=subject
                )
            if self.certified(checkpoint.height) is not None:
                return
            with _translated(subject), self._engine.begin() as connection:
                connection.execute(sa.insert(models.certificates), codec.certificate_row(certified))

    def _require_next(self, block: BlockCommit) -> None:
        height = 0 if self._head is None else self._head.header.height
        previous = self._chain_id if self._head is None else self._head.header_hash
        if block.header.height != height + 1 or block.header.previous_header_hash != previous:
            raise Fatal(
                "NOT_NEXT_BLOCK",
                f"block {block.header.height} does not follow the head at {height}",
                subject=f"height {block.header.height}",
            )

    def _insert_block(self, connection: sa.Connection, block: BlockCommit) -> None:
        height = block.header.height
        connection.execute(
            sa.insert(models.blocks),
            {"height": height, "header": block.header.encode(), "header_hash": block.header_hash},
        )
        _insert_many(connection, models.transactions, _transaction_rows(block))
        _insert_many(
            connection,
            models.records,
            [
                {
                    "record_id": r.record_id,
                    "record_type": r.record_type,
                    "tx_hash": r.tx_hash,
                    "height": r.height,
                    "organisation_id": r.organisation_id,
                    "root": r.root,
                    "data": r.data,
                }
                for r in block.records
            ],
        )
        self._write_state(connection, block.writes)
        _insert_many(
            connection,
            models.claims,
            [
                {
                    "log_index": c.index,
                    "claim": c.claim,
                    "leaf": c.leaf,
                    "tx_hash": c.tx_hash,
                    "record_ids": b"".join(c.record_ids),
                }
                for c in block.claims
            ],
        )
        _insert_many(
            connection,
            models.log_nodes,
            [{"level": n.level, "node_index": n.index, "hash": n.hash} for n in block.log_nodes],
        )

    def _write_state(self, connection: sa.Connection, writes: tuple[tuple[str, bytes | None], ...]) -> None:
        deleted = [key for key, value in writes if value is None]
        for i in range(0, len(deleted), _DELETE_CHUNK):
            keys = deleted[i : i + _DELETE_CHUNK]
            connection.execute(sa.delete(models.state_entries).where(models.state_entries.c.key.in_(keys)))
        _insert_many(
            connection,
            models.state_entries,
            [{"key": key, "value": value} for key, value in writes if value is not None],
            _upsert(connection.dialect.name),
        )

    # --- plumbing ----------------------------------------------------------------------------------------------------

    def _claim_database(self) -> None:
        """Create the tables of a new database, or make sure that an old one is this ledger's."""
        with _translated("schema"), self._engine.begin() as connection:
            models.metadata.create_all(connection)
            row = connection.execute(sa.select(models.ledger)).one_or_none()
            if row is None:
                connection.execute(
                    sa.insert(models.ledger),
                    {"chain_id": self._chain_id, "schema_version": models.SCHEMA_VERSION},
                )
                return
        if row.chain_id != self._chain_id:
            raise Fatal(
                "WRONG_CHAIN",
                "the database is of another ledger",
                subject=row.chain_id.hex(),
                hint="check the genesis file and the database setting",
            )
        if row.schema_version != models.SCHEMA_VERSION:
            raise Fatal(
                "STORE_SCHEMA",
                f"the database has schema {row.schema_version}, this program knows {models.SCHEMA_VERSION}",
                hint="migrate it, or run the version that wrote it",
            )

    def _read_head(self) -> Head | None:
        row = self._one(_HEAD)
        return None if row is None else Head(decode_header(row.header), row.header_hash)

    def _one(self, statement: sa.Select[Any], **parameters: object) -> Any:
        with _translated("read"), self._engine.connect() as connection:
            return connection.execute(statement, parameters).first()

    def _all(self, statement: sa.Select[Any], **parameters: object) -> Any:
        with _translated("read"), self._engine.connect() as connection:
            return connection.execute(statement, parameters).all()

    def _scalar(self, statement: sa.Select[Any], **parameters: object) -> Any:
        row = self._one(statement, **parameters)
        return None if row is None else row[0]


def _transaction_rows(block: BlockCommit) -> list[dict[str, Any]]:
    def row(position: int, signed: bytes, result: TransactionResult, leaf: bytes) -> dict[str, Any]:
        return {
            "height": block.header.height,
            "position": position,
            "tx_hash": result.tx_hash,
            "code": result.code,
            "message": result.message,
            "record_id": result.record_id,
            "record_root": result.record_root,
            "log_index": result.log_index,
            "flagged": codec.encode_flagged(result.flagged),
            "result_leaf": leaf,
            "signed": signed,
        }

    columns = zip(block.transactions, block.results, block.result_leaves, strict=True)
    return [row(i, *items) for i, items in enumerate(columns)]


def _insert_many(
    connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], statement: sa.Insert | None = None
) -> None:
    if rows:
        connection.execute(sa.insert(table) if statement is None else statement, rows)


def _upsert(dialect: str) -> sa.Insert:
    key = [models.state_entries.c.key]
    if dialect == "postgresql":
        in_postgresql = postgresql.insert(models.state_entries)
        return in_postgresql.on_conflict_do_update(index_elements=key, set_={"value": in_postgresql.excluded.value})
    in_sqlite = sqlite.insert(models.state_entries)
    return in_sqlite.on_conflict_do_update(index_elements=key, set_={"value": in_sqlite.excluded.value})


def _lock_file(path: Path) -> BinaryIO:
    """Hold `path`.lock for as long as the file that comes back stays open; the system releases it when the process
    dies."""
    lock = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Fatal(
            "STORE_IN_USE", "another process has this ledger open", subject=path.name, hint="stop the other one first"
        ) from error
    return lock


def _create_engine(url: sa.URL) -> sa.Engine:
    name = url.get_backend_name()
    if name not in ("sqlite", "postgresql"):
        raise Fatal("STORE_URL", f"{name} is not supported", hint="use sqlite or postgresql")
    if name == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": 10.0}, pool_size=8, max_overflow=8)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # FULL: a commit that was acknowledged survives a power cut, not only a killed process.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


@contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Database errors as ours: what may pass is `Retryable`, what contradicts the schema is `Fatal`."""
    try:
        yield
    except IntegrityError as error:
        raise corrupt("the database refuses a row that contradicts another", subject) from error
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Retryable(
            "STORE_UNAVAILABLE", "the database is busy, full or away", subject=subject, hint="try again; check the disk"
        ) from error
    except SQLAlchemyError as error:
        raise corrupt("the database cannot be read", subject) from error
