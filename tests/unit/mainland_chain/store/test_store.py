from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_blocks import CHAIN, Chain, certified

from lianqiao_base.errors import Fatal, Retryable
from mainland_chain.log.hashing import KECCAK
from mainland_chain.log.tree import inclusion_proof, root
from mainland_chain.state.block import BlockCommit
from mainland_chain.store import SqlLedgerStore, models
from mainland_chain.store.cache import ReadCache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SqlLedgerStore]:
    opened = SqlLedgerStore.open_file(path, CHAIN)
    yield opened
    opened.close()


class Nodes:
    def __init__(self, store: SqlLedgerStore) -> None:
        self.get = store.log_node


def test_an_empty_store_has_nothing(store: SqlLedgerStore) -> None:
    assert store.head() is None
    assert store.state("k") is None
    assert store.record(bytes(32)) is None
    assert store.claim(0) is None
    assert store.transaction(bytes(32)) is None
    assert store.header_at(1) is None
    assert store.result_leaves(1) == ()
    assert store.certified() is None
    assert store.certified_from(1, 10) == ()


def test_what_is_committed_comes_back_and_survives_reopening(path: Path) -> None:
    chain = Chain()
    store = SqlLedgerStore.open_file(path, CHAIN)
    blocks = [chain.block(writes=(("a", b"%d" % i), ("b", None if i == 2 else b"x"))) for i in range(3)]
    for block in blocks:
        store.commit(block)
        store.save_certificate(certified(block))
    for _ in range(2):
        head = store.head()
        assert head is not None and head.header == blocks[-1].header and head.header_hash == blocks[-1].header_hash
        for block in blocks:
            height = block.header.height
            assert store.header_at(height) == block.header
            assert store.result_leaves(height) == block.result_leaves
            assert store.certified(height) == certified(block)
            for i, result in enumerate(block.results):
                found = store.transaction(result.tx_hash)
                assert found is not None
                assert (found.height, found.index, found.signed) == (height, i, block.transactions[i])
                assert found.result == result
            assert [store.record(r.record_id) for r in block.records] == list(block.records)
            assert [store.claim(c.index) for c in block.claims] == list(block.claims)
        assert store.state("a") == b"2"
        assert store.state("b") is None
        assert root(Nodes(store), KECCAK, 6) == blocks[-1].header.export_log_root
        assert len(inclusion_proof(Nodes(store), KECCAK, 3, 6)) == 3
        assert [c.checkpoint.height for c in store.certified_from(2, 10)] == [2, 3]
        assert [c.checkpoint.height for c in store.certified_from(1, 2)] == [1, 2]
        store.close()
        store = SqlLedgerStore.open_file(path, CHAIN)
    store.close()


def test_the_accepting_block_of_a_transaction_is_preferred(store: SqlLedgerStore) -> None:
    chain = Chain()
    first = chain.block(transactions=1)
    store.commit(first)
    tx_hash = first.results[0].tx_hash
    second = chain.block(transactions=1)
    refused = replace(second.results[0], tx_hash=tx_hash, code="NONCE_USED")
    store.commit(replace(second, results=(refused,)))
    found = store.transaction(tx_hash)
    assert found is not None and found.height == 1 and found.result.ok


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda b: replace(b, header=replace(b.header, height=b.header.height + 1)), id="height"),
        pytest.param(lambda b: replace(b, header=replace(b.header, previous_header_hash=bytes(32))), id="previous"),
    ],
)
def test_only_the_next_block_is_accepted(store: SqlLedgerStore, spoil: Callable[[BlockCommit], BlockCommit]) -> None:
    chain = Chain()
    store.commit(chain.block())
    with pytest.raises(Fatal) as caught:
        store.commit(spoil(chain.block()))
    assert caught.value.code == "NOT_NEXT_BLOCK"


def test_a_failed_commit_leaves_nothing(path: Path) -> None:
    chain = Chain()
    store = SqlLedgerStore.open_file(path, CHAIN)
    first = chain.block(writes=(("a", b"1"),))
    store.commit(first)
    assert store.state("a") == b"1"
    second = chain.block(writes=(("a", b"2"),))
    clash = replace(second, log_nodes=(*second.log_nodes, first.log_nodes[0]))
    with pytest.raises(Fatal) as caught:
        store.commit(clash)
    assert caught.value.code == "STORE_CORRUPT"
    assert store.head() is not None and store.head().header == first.header  # type: ignore[union-attr]
    assert store.state("a") == b"1"
    assert store.transaction(second.results[0].tx_hash) is None
    store.commit(second)
    store.close()
    SqlLedgerStore.open_file(path, CHAIN).close()


def test_certificates_never_conflict(store: SqlLedgerStore) -> None:
    chain = Chain()
    block = chain.block()
    with pytest.raises(Fatal, match="CERTIFICATE_CONFLICT"):
        store.save_certificate(certified(block))
    store.commit(block)
    store.save_certificate(certified(block))
    store.save_certificate(certified(block))
    other = certified(replace(block, header=replace(block.header, time_ms=1)))
    with pytest.raises(Fatal, match="CERTIFICATE_CONFLICT"):
        store.save_certificate(other)


def test_another_ledger_is_refused(path: Path) -> None:
    SqlLedgerStore.open_file(path, CHAIN).close()
    with pytest.raises(Fatal) as caught:
        SqlLedgerStore.open_file(path, bytes(32))
    assert caught.value.code == "WRONG_CHAIN"
    SqlLedgerStore.open_file(path, CHAIN).close()


def test_one_process_at_a_time(store: SqlLedgerStore, path: Path) -> None:
    with pytest.raises(Fatal) as caught:
        SqlLedgerStore.open_file(path, CHAIN)
    assert caught.value.code == "STORE_IN_USE"


def test_the_file_is_private(store: SqlLedgerStore, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


ZERO = b"\x00" * 32


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            sa.update(models.blocks).where(models.blocks.c.height == 2).values(header_hash=ZERO), id="header hash"
        ),
        pytest.param(sa.delete(models.blocks).where(models.blocks.c.height == 1), id="predecessor"),
        pytest.param(
            sa.update(models.transactions).where(models.transactions.c.height == 2).values(result_leaf=ZERO),
            id="results",
        ),
        pytest.param(sa.delete(models.transactions).where(models.transactions.c.height == 2), id="transactions"),
        pytest.param(sa.delete(models.claims).where(models.claims.c.log_index == 3), id="claims"),
        pytest.param(sa.update(models.log_nodes).where(models.log_nodes.c.level == 2).values(hash=ZERO), id="log node"),
        pytest.param(sa.delete(models.log_nodes), id="no log nodes"),
        pytest.param(sa.delete(models.blocks), id="no blocks"),
        pytest.param(sa.delete(models.blocks).where(models.blocks.c.height == 2), id="block lost after its claims"),
        pytest.param(
            sa.update(models.certificates).where(models.certificates.c.height == 2).values(checkpoint=ZERO * 8),
            id="certificate",
        ),
        pytest.param(sa.update(models.certificates).values(bitmap=b"", signatures=b"short"), id="signatures"),
        pytest.param(sa.update(models.ledger).values(schema_version=99), id="schema"),
    ],
)
def test_damage_is_found_when_opened(path: Path, damage: sa.Executable) -> None:
    chain = Chain()
    store = SqlLedgerStore.open_file(path, CHAIN)
    for _ in range(2):
        block = chain.block()
        store.commit(block)
        store.save_certificate(certified(block))
    with store.engine.begin() as connection:
        connection.execute(damage)
    store.close()
    with pytest.raises(Fatal) as caught:
        SqlLedgerStore.open_file(path, CHAIN)
    assert caught.value.code in ("STORE_CORRUPT", "STORE_SCHEMA")


def test_a_broken_link_is_found(path: Path) -> None:
    chain = Chain()
    store = SqlLedgerStore.open_file(path, CHAIN)
    first, second = chain.block(), chain.block()
    store.commit(first)
    store.commit(second)
    changed = replace(first.header, time_ms=5)
    with store.engine.begin() as connection:
        connection.execute(
            sa.update(models.blocks)
            .where(models.blocks.c.height == 1)
            .values(header=changed.encode(), header_hash=changed.hash())
        )
    store.close()
    with pytest.raises(Fatal, match="does not follow"):
        SqlLedgerStore.open_file(path, CHAIN)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(Fatal) as caught:
        SqlLedgerStore.open_file(path, CHAIN)
    assert caught.value.code == "STORE_CORRUPT"


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.OperationalError("COMMIT", {}, Exception("database is locked")),
        sa.exc.TimeoutError("QueuePool limit of size 8 overflow 8 reached"),
    ],
    ids=["locked", "no connection left"],
)
def test_a_locked_database_is_retryable(
    store: SqlLedgerStore, monkeypatch: pytest.MonkeyPatch, error: sa.exc.SQLAlchemyError
) -> None:
    chain = Chain()
    block = chain.block()

    def busy(*_: object) -> None:
        raise error

    monkeypatch.setattr(store, "_insert_block", busy)
    with pytest.raises(Retryable) as caught:
        store.commit(block)
    assert caught.value.code == "STORE_UNAVAILABLE"
    monkeypatch.undo()
    store.commit(block)


def test_reads_from_many_threads_see_whole_commits(store: SqlLedgerStore) -> None:
    chain = Chain()
    stop = threading.Event()
    problems: list[str] = []

    def read() -> None:
        while not stop.is_set():
            head = store.head()
            if head is None:
                continue
            height = head.header.height
            if len(store.result_leaves(height)) != 3:
                problems.append(f"leaves of {height}")
            if int(store.state("height") or b"0") < height - 1:
                problems.append(f"state behind {height}")
            if root(Nodes(store), KECCAK, head.header.export_log_size) != head.header.export_log_root:
                problems.append(f"log of {height}")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(60):
        store.commit(chain.block(writes=(("height", b"%d" % (i + 1)),)))
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems


def test_an_unsupported_database_is_refused() -> None:
    with pytest.raises(Fatal) as caught:
        SqlLedgerStore("mysql://localhost/x", CHAIN)
    assert caught.value.code == "STORE_URL"


def test_the_cache_drops_a_value_read_before_a_commit() -> None:
    cache = ReadCache[str, bytes](2)
    generation = cache.generation
    cache.update({"a": b"new"})
    cache.put("a", b"old", generation)
    assert cache.get("a") == (True, b"new")
    cache.update({"b": b"1"})
    cache.update({"c": b"2"})
    assert cache.get("a") == (False, None)


def test_every_table_compiles_for_postgresql() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    for table in models.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
