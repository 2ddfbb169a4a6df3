"""Store of decision records and of what must stay in the zone: personal inputs with their salts, and the signed
artefacts issued.

SQLite (WAL) or PostgreSQL. One `transaction` covers reading the head, appending and issuing, so two gates on one store
never fork the chain, and a crash leaves either everything or nothing. Personal data sits in a table of its own keyed by
record and never appears in errors: the engine hides statement parameters.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from compliance.evidence.model import (
    DecisionRecord,
    Zone,
    broken,
    chain_start,
    commit,
    hash_inputs,
    parse_record,
    verify_chain,
)
from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Fatal, Rejected, Retryable

_metadata = sa.MetaData()
_records = sa.Table(
    "decision_record",
    _metadata,
    sa.Column("zone", sa.String(16), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("decision_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("previous_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(240), nullable=False),
    sa.Column("decision", sa.String(16), nullable=False),
    sa.Column("decided_at_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("inputs", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("zone", "decision_hash"),
    sa.UniqueConstraint("zone", "previous_hash"),
    sa.Index("decision_record_subject", "zone", "kind", "subject", "sequence"),
)
_personal = sa.Table(
    "personal_data",
    _metadata,
    sa.Column("zone", sa.String(16), primary_key=True),
    sa.Column("decision_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("salt", sa.LargeBinary(32), nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
_issued = sa.Table(
    "issued_artefact",
    _metadata,
    sa.Column("zone", sa.String(16), primary_key=True),
    sa.Column("decision_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class PersonalInput:
    """A personal value with the salt of its commitment. Its content never appears in a repr."""

    name: str
    salt: bytes = field(repr=False)
    value: Json = field(repr=False)

    @property
    def commitment(self) -> bytes:
        """The salted commitment that stands for the value in an inputs document."""
        return commit(self.salt, self.value)


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A record with its inputs document and, when it allowed something, the signed artefact."""

    record: DecisionRecord
    inputs: Mapping[str, Json]
    artefact: bytes | None = field(repr=False)


class DecisionTransaction:
    """One unit of work on one zone's chain. Made by `DecisionStore.transaction`."""

    def __init__(self, connection: sa.Connection, zone: Zone) -> None:
        self._connection = connection
        self._zone = zone

    def head(self) -> tuple[int, bytes]:
        """Next sequence number and the hash that it must link to.

        Raises `Fatal("DECISION_CHAIN_BROKEN")` when the last record was altered.
        """
        last = self._one(
            sa.select(_records).where(_records.c.zone == self._zone).order_by(_records.c.sequence.desc()).limit(1)
        )
        if last is None:
            return 0, chain_start(self._zone)
        record = self._read(last).record
        return record.sequence + 1, record.decision_hash

    def latest(self, kind: str, subject: str) -> StoredDecision | None:
        """The last decision of that kind about `subject`."""
        where = (_records.c.zone == self._zone, _records.c.kind == kind, _records.c.subject == subject)
        row = self._one(sa.select(_records).where(*where).order_by(_records.c.sequence.desc()).limit(1))
        return None if row is None else self._read(row)

    def find(self, decision_hash: bytes) -> StoredDecision | None:
        """The decision with that hash."""
        row = self._one(
            sa.select(_records).where(_records.c.zone == self._zone, _records.c.decision_hash == decision_hash)
        )
        return None if row is None else self._read(row)

    def matches(self, stored: StoredDecision, name: str, value: Json) -> bool:
        """Whether `value` is the personal input `name` of a stored decision: compared by its salted commitment."""
        row = self._one(
            sa.select(_personal.c.salt).where(
                _personal.c.zone == self._zone,
                _personal.c.decision_hash == stored.record.decision_hash,
                _personal.c.name == name,
            )
        )
        commitments = cast("Mapping[str, str]", stored.inputs.get("commitments", {}))
        if row is None:
            return False
        return hmac.compare_digest(commit(row["salt"], value), bytes.fromhex(commitments[name]))

    def append(
        self,
        record: DecisionRecord,
        inputs: Mapping[str, Json],
        personal: Sequence[PersonalInput] = (),
        artefact: bytes | None = None,
    ) -> StoredDecision:
        """Append `record` at the head, with its inputs, its personal data and what was issued on it.

        Raises `Fatal("DECISION_CHAIN_BROKEN")` when it does not link, `Fatal("DECISION_INPUTS_DIFFER")` when the inputs
        document or a commitment is not the one hashed in the record.
        """
        if record.zone is not self._zone or (record.sequence, record.previous_hash) != self.head():
            raise broken(self._zone, record.sequence)
        commitments = cast("Mapping[str, str]", inputs.get("commitments", {}))
        if hash_inputs(inputs) != record.inputs_hash or commitments != {p.name: p.commitment.hex() for p in personal}:
            raise _inputs_differ(record)
        decision_hash = record.decision_hash
        self._connection.execute(
            _records.insert().values(
                zone=record.zone.value,
                sequence=record.sequence,
                decision_hash=decision_hash,
                previous_hash=record.previous_hash,
                kind=record.kind,
                subject=record.subject,
                decision=record.decision.value,
                decided_at_ms=record.decided_at_ms,
                body=record.to_bytes(),
                inputs=canonical.dumps(inputs),
            )
        )
        for item in personal:
            self._connection.execute(
                _personal.insert().values(
                    zone=record.zone.value,
                    decision_hash=decision_hash,
                    name=item.name,
                    salt=item.salt,
                    value=canonical.dumps(item.value),
                )
            )
        if artefact is not None:
            self._connection.execute(
                _issued.insert().values(zone=record.zone.value, decision_hash=decision_hash, body=artefact)
            )
        return StoredDecision(record, inputs, artefact)

    def records(self) -> Iterator[DecisionRecord]:
        """All records of the zone in order, each checked against its stored hash and inputs."""
        query = sa.select(_records).where(_records.c.zone == self._zone).order_by(_records.c.sequence)
        for row in self._connection.execute(query).mappings():
            yield self._read(dict(row)).record

    def _one(self, query: sa.Select[Any]) -> dict[str, Any] | None:
        row = self._connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def _read(self, row: Mapping[str, Any]) -> StoredDecision:
        record = parse_record(row["body"])
        columns = (
            record.zone.value,
            record.sequence,
            record.decision_hash,
            record.kind,
            record.subject,
            record.decision.value,
        )
        if columns != tuple(row[name] for name in ("zone", "sequence", "decision_hash", "kind", "subject", "decision")):
            raise broken(self._zone, int(row["sequence"]))
        try:
            inputs = cast("Mapping[str, Json]", canonical.loads_strict(row["inputs"]))
        except (Rejected, TypeError) as error:
            raise _inputs_differ(record) from error
        if hash_inputs(inputs) != record.inputs_hash:
            raise _inputs_differ(record)
        issued = self._one(
            sa.select(_issued.c.body).where(
                _issued.c.zone == self._zone, _issued.c.decision_hash == row["decision_hash"]
            )
        )
        return StoredDecision(record, inputs, None if issued is None else issued["body"])


class DecisionStore:
    """Chains of decision records in one database. `url` is an SQLAlchemy URL; tables are made when missing."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": 30} if url.startswith("sqlite") else {}
        )
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_connect)
            sa.event.listen(self._engine, "begin", _sqlite_begin)
        _metadata.create_all(self._engine)

    @contextmanager
    def transaction(self, zone: Zone) -> Iterator[DecisionTransaction]:
        """A unit of work that nobody else's appends interleave with.

        Raises `Retryable("DECISION_STORE_BUSY")` when it lost a race.
        """
        try:
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCKS[zone])))
                yield DecisionTransaction(connection, zone)
        except (IntegrityError, OperationalError, InterfaceError, PoolTimeout) as error:
            raise Retryable(
                "DECISION_STORE_BUSY", "the decision store is busy or unreachable", subject=zone.value
            ) from error

    def verify(self, zone: Zone) -> bytes:
        """Walk the zone's whole chain and return its head.

        Raises `Fatal` at the first record that is damaged or does not link.
        """
        with self.transaction(zone) as transaction:
            return verify_chain(zone, transaction.records())

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


_LOCKS = {Zone.MAINLAND: 0x4C51_0001, Zone.HONGKONG: 0x4C51_0002}


def _inputs_differ(record: DecisionRecord) -> Fatal:
    return Fatal(
        "DECISION_INPUTS_DIFFER",
        "the inputs document is not the one that the decision record hashes",
        subject=f"{record.zone.value}:{record.sequence}",
        hint="stop the gate and keep the store as evidence",
    )


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _sqlite_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
