"""What the delivery side remembers: items, their history, prepared transactions, what it trusts. SQLite (WAL) or PostgreSQL.

Every event of the state machine is one database transaction, together with what belongs to it: an intent with its raw
transaction, an order with its clearance. No personal data is kept here: the identity payload of an order goes to the
transfer gate's store only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.delivery.machine import ENDS, Event, Intent, Item, Kind, State, apply
from bridge.delivery.wire import decode_packet
from hk_l2.chain import Call
from hk_l2.txsender import PreparedTransaction
from lianqiao_base.errors import NotFound, Rejected, Retryable
from mainland_chain.light.packet import Packet

_metadata = sa.MetaData()
_items = sa.Table(
    "items",
    _metadata,
    sa.Column("item_id", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason_code", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_ms", sa.BigInteger, nullable=False),
    sa.Column("intent_label", sa.String),
    sa.Column("intent_nonce", sa.BigInteger),
    sa.Column("intent_hash", sa.LargeBinary),
    sa.Column("intent_last", sa.Boolean),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("block_hash", sa.LargeBinary),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("attachment", sa.LargeBinary),
    sa.Column("submitter", sa.LargeBinary, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("lane", sa.LargeBinary),
    sa.Column("position", sa.BigInteger),
    sa.Index("items_due", "state", "next_attempt_ms"),
    sa.Index("items_lane", "lane", "position"),
)
_steps = sa.Table(
    "steps",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("item_id", sa.LargeBinary, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.String, nullable=False),
)
_outbox = sa.Table(
    "outbox",
    _metadata,
    sa.Column("tx_hash", sa.LargeBinary, primary_key=True),
    sa.Column("item_id", sa.LargeBinary, nullable=False, index=True),
    sa.Column("sender", sa.String, nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("call_to", sa.String),
    sa.Column("call_data", sa.LargeBinary, nullable=False),
    sa.Column("call_label", sa.String, nullable=False),
    sa.Column("gas_limit", sa.BigInteger, nullable=False),
    sa.Column("max_fee", sa.String, nullable=False),
    sa.Column("max_priority_fee", sa.String, nullable=False),
    sa.Column("prepared_ms", sa.BigInteger, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False, index=True),
)
_checkpoints = sa.Table(
    "checkpoints",
    _metadata,
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("height", sa.BigInteger, primary_key=True),
    sa.Column("certified", sa.LargeBinary, nullable=False),
)
_settings = sa.Table(
    "settings",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

_PROGRESSING = [s.value for s in State if s not in (*ENDS, State.HELD)]
_UNSENT = [State.RECEIVED.value, State.VERIFIED.value, State.INTENDED.value]
_SUBMITTING = [State.RECEIVED.value, State.VERIFIED.value]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an item's history."""

    state: str
    time_ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item with what was submitted (`content`), what the gate added (`attachment`) and who submitted it."""

    item: Item
    content: bytes
    attachment: bytes | None
    submitter: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A signed transaction of an item."""

    item_id: bytes
    transaction: PreparedTransaction
    prepared_ms: int


class DeliveryStore:
    """One database. `url` is an SQLAlchemy URL; tables are made when missing. Safe for several threads."""

    def __init__(self, url: str) -> None:
        sqlite = url.startswith("sqlite")
        self._engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": 30} if sqlite else {})
        if sqlite:
            sa.event.listen(self._engine, "connect", _sqlite_connect)
            sa.event.listen(self._engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
        _metadata.create_all(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def insert(
        self,
        item: Item,
        content: bytes,
        submitter: bytes,
        now_ms: int,
        *,
        events: Sequence[tuple[Event, str]] = (),
        lane: tuple[bytes, int] | None = None,
    ) -> Item:
        """A new item, taken through `events` (with details for its history) in the same transaction.

        `lane` names a series and the item's position in it: see `earlier_unsent`.
        """
        with self._begin() as connection:
            values: dict[str, Any] = {"content": content, "submitter": submitter, "created_ms": now_ms}
            if lane is not None:
                values["lane"], values["position"] = lane
            connection.execute(_items.insert().values(**_columns(item), **values))
            _add_step(connection, item, now_ms, "submitted")
            for event, detail in events:
                item = apply(item, event)
                _add_step(connection, item, now_ms, detail)
            connection.execute(_items.update().where(_items.c.item_id == item.item_id).values(**_columns(item)))
        return item

    def advance(
        self,
        item_id: bytes,
        event: Event,
        now_ms: int,
        *,
        detail: str = "",
        content: bytes | None = None,
        attachment: bytes | None = None,
        prepared: PreparedTransaction | None = None,
        close_outbox: bool = False,
    ) -> Item:
        """Apply one event and store what belongs to it. Raises `IllegalEvent`, `NotFound`."""
        with self._begin() as connection:
            before = _read(connection, item_id)
            after = apply(before.item, event)
            values: dict[str, Any] = _columns(after)
            if content is not None:
                values["content"] = content
            if attachment is not None:
                values["attachment"] = attachment
            connection.execute(_items.update().where(_items.c.item_id == item_id).values(**values))
            if close_outbox:
                connection.execute(_outbox.update().where(_outbox.c.item_id == item_id).values(open=False))
            if prepared is not None:
                # Signed again after it was given up, at the same nonce and fee, it is the same transaction.
                given_up = sa.and_(_outbox.c.tx_hash == prepared.tx_hash, _outbox.c.open.is_(False))
                connection.execute(_outbox.delete().where(given_up))
                connection.execute(_outbox.insert().values(**_outbox_columns(item_id, prepared, now_ms)))
            noteworthy = (after.state, after.reason_code) != (before.item.state, before.item.reason_code)
            if noteworthy or prepared is not None:
                _add_step(connection, after, now_ms, detail or after.reason)
        return after

    def find(self, item_id: bytes) -> StoredItem | None:
        """One item, or None."""
        with self._begin() as connection:
            row = connection.execute(sa.select(_items).where(_items.c.item_id == item_id)).mappings().first()
        return None if row is None else _stored(row)

    def get(self, item_id: bytes) -> StoredItem:
        """One item. Raises `NotFound("ITEM_UNKNOWN")`."""
        with self._begin() as connection:
            return _read(connection, item_id)

    def find_prefix(self, prefix: bytes) -> list[bytes]:
        """Ids that begin with `prefix`: at most two are returned, for more than one is ambiguous."""
        column = _items.c.item_id
        upper = _after(prefix)
        where = [column >= prefix, *([column < upper] if upper else [])]
        with self._begin() as connection:
            return list(connection.execute(sa.select(column).where(*where).limit(2)).scalars())

    def steps(self, item_id: bytes) -> list[Step]:
        """History, oldest first."""
        query = sa.select(_steps).where(_steps.c.item_id == item_id).order_by(_steps.c.number)
        with self._begin() as connection:
            return [Step(r["state"], r["time_ms"], r["detail"]) for r in connection.execute(query).mappings()]

    def due(self, now_ms: int, *, fresh: bool, limit: int) -> list[Item]:
        """Items whose next attempt has come, longest-waiting first: those never tried (`fresh`) or those tried before.

        The two are asked for separately and served in turn, so that a backlog of failing items never blocks new ones.
        """
        tried = _items.c.attempts == 0 if fresh else _items.c.attempts > 0
        # An order that is still being submitted belongs to its submitter's call (`interrupted` finds those after a crash).
        submitting = sa.and_(_items.c.kind == Kind.ORDER.value, _items.c.state.in_(_SUBMITTING))
        query = (
            sa.select(_items)
            .where(_items.c.state.in_(_PROGRESSING), _items.c.next_attempt_ms <= now_ms, tried, ~submitting)
            # A report of an equivocation overtakes everything.
            .order_by(_items.c.kind != Kind.EQUIVOCATION.value, _items.c.next_attempt_ms, _items.c.created_ms)
            .limit(limit)
        )
        with self._begin() as connection:
            return [_stored(row).item for row in connection.execute(query).mappings()]

    def interrupted(self) -> list[StoredItem]:
        """Orders whose submission did not finish."""
        query = sa.select(_items).where(_items.c.kind == Kind.ORDER.value, _items.c.state.in_(_SUBMITTING))
        with self._begin() as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]

    def intended(self) -> list[bytes]:
        """Items whose transaction was stored but not seen by a node, in nonce order."""
        query = sa.select(_items.c.item_id).where(_items.c.state == State.INTENDED.value)
        with self._begin() as connection:
            return list(connection.execute(query.order_by(_items.c.intent_nonce)).scalars())

    def earlier_unsent(self, item_id: bytes) -> bytes | None:
        """An item of the same lane with a lower position that has not been sent yet, or None."""
        other = _items.alias()
        query = (
            sa.select(other.c.item_id)
            .join(_items, sa.and_(_items.c.lane == other.c.lane, other.c.position < _items.c.position))
            .where(_items.c.item_id == item_id, other.c.state.in_(_UNSENT))
            .limit(1)
        )
        with self._begin() as connection:
            found: bytes | None = connection.execute(query).scalar()
        return found

    def newest_final(self, lane: bytes, block_number: int) -> Packet:
        """The last packet of a lane whose effect was in or before a block. Raises `NotFound("EVIDENCE_MISSING")`."""
        query = (
            sa.select(_items.c.content)
            .where(_items.c.lane == lane, _items.c.state == State.FINAL.value, _items.c.block_number <= block_number)
            .order_by(_items.c.position.desc())
            .limit(1)
        )
        with self._begin() as connection:
            content: bytes | None = connection.execute(query).scalar()
        if content is None:
            raise NotFound(
                "EVIDENCE_MISSING",
                "this node has not delivered a claim that the mint rests on",
                subject=lane.hex(),
                hint="build the bundle where asset, lock and telemetry were delivered",
            )
        return decode_packet(content)

    def postpone(self, item_id: bytes, next_attempt_ms: int) -> None:
        """Look at an item again later; nothing happened to it."""
        with self._begin() as connection:
            connection.execute(
                _items.update().where(_items.c.item_id == item_id).values(next_attempt_ms=next_attempt_ms)
            )

    def wake(self, reason_codes: Sequence[str]) -> None:
        """Let items that wait for one of these reasons be tried at once."""
        with self._begin() as connection:
            connection.execute(
                _items.update()
                .where(_items.c.reason_code.in_(reason_codes), _items.c.state.in_(_PROGRESSING))
                .values(next_attempt_ms=0)
            )

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of items by kind and state."""
        query = sa.select(_items.c.kind, _items.c.state, sa.func.count()).group_by(_items.c.kind, _items.c.state)
        with self._begin() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(query)}

    def outbox(self, item_id: bytes | None = None, *, only_open: bool = True) -> list[OutboxEntry]:
        """Transactions in nonce order, of one item or of all; `only_open` leaves out those whose fate is final."""
        query = sa.select(_outbox).order_by(_outbox.c.nonce, _outbox.c.prepared_ms)
        if item_id is not None:
            query = query.where(_outbox.c.item_id == item_id)
        if only_open:
            query = query.where(_outbox.c.open.is_(True))
        with self._begin() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def close_transactions(self, item_id: bytes) -> None:
        """Mark that the fate of all the item's transactions is final."""
        with self._begin() as connection:
            connection.execute(_outbox.update().where(_outbox.c.item_id == item_id).values(open=False))

    def remember_checkpoint(self, epoch: int, height: int, certified: bytes) -> bytes:
        """Keep the first certified checkpoint of a height; returns the one that is kept."""
        where = (_checkpoints.c.epoch == epoch, _checkpoints.c.height == height)
        with self._begin() as connection:
            known: bytes | None = connection.execute(sa.select(_checkpoints.c.certified).where(*where)).scalar()
            if known is not None:
                return known
            connection.execute(_checkpoints.insert().values(epoch=epoch, height=height, certified=certified))
        return certified

    def setting(self, name: str) -> bytes | None:
        """A stored value."""
        with self._begin() as connection:
            value: bytes | None = connection.execute(
                sa.select(_settings.c.value).where(_settings.c.name == name)
            ).scalar()
        return value

    def put_setting(self, name: str, value: bytes) -> None:
        """Store a value."""
        self.put_settings({name: value})

    def put_settings(self, values: Mapping[str, bytes]) -> None:
        """Store several values at once."""
        with self._begin() as connection:
            connection.execute(_settings.delete().where(_settings.c.name.in_(list(values))))
            connection.execute(_settings.insert(), [{"name": n, "value": v} for n, v in values.items()])

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Retryable("STORE_BUSY", "the delivery store is busy or unreachable", hint="try again") from error


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _after(prefix: bytes) -> bytes | None:
    """The smallest byte string above all that begin with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def _add_step(connection: sa.Connection, item: Item, now_ms: int, detail: str) -> None:
    connection.execute(
        _steps.insert().values(item_id=item.item_id, state=item.state.value, time_ms=now_ms, detail=detail)
    )


def _columns(item: Item) -> dict[str, Any]:
    intent = item.intent
    return {
        "item_id": item.item_id,
        "kind": item.kind.value,
        "state": item.state.value,
        "reason_code": item.reason_code,
        "reason": item.reason,
        "actor": item.actor,
        "attempts": item.attempts,
        "next_attempt_ms": item.next_attempt_ms,
        "intent_label": intent.label if intent else None,
        "intent_nonce": intent.nonce if intent else None,
        "intent_hash": intent.tx_hash if intent else None,
        "intent_last": intent.last if intent else None,
        "block_number": item.block_number,
        "block_hash": item.block_hash,
    }


def _stored(row: sa.RowMapping) -> StoredItem:
    intent = None
    if row["intent_hash"] is not None:
        intent = Intent(row["intent_label"], row["intent_nonce"], row["intent_hash"], row["intent_last"])
    item = Item(
        row["item_id"],
        Kind(row["kind"]),
        State(row["state"]),
        row["reason_code"],
        row["reason"],
        row["actor"],
        row["attempts"],
        row["next_attempt_ms"],
        intent,
        row["block_number"],
        row["block_hash"],
    )
    return StoredItem(item, row["content"], row["attachment"], row["submitter"], row["created_ms"])


def _read(connection: sa.Connection, item_id: bytes) -> StoredItem:
    row = connection.execute(sa.select(_items).where(_items.c.item_id == item_id)).mappings().first()
    if row is None:
        raise NotFound("ITEM_UNKNOWN", "no packet or order has this id", subject=item_id.hex())
    return _stored(row)


def _outbox_columns(item_id: bytes, prepared: PreparedTransaction, now_ms: int) -> dict[str, Any]:
    if prepared.call.value:
        raise Rejected("VALUE_NOT_ALLOWED", "a delivery transaction carries no value", subject=prepared.call.label)
    return {
        "tx_hash": prepared.tx_hash,
        "item_id": item_id,
        "sender": prepared.sender,
        "nonce": prepared.nonce,
        "raw": prepared.raw,
        "call_to": prepared.call.to,
        "call_data": prepared.call.data,
        "call_label": prepared.call.label,
        "gas_limit": prepared.gas_limit,
        "max_fee": str(prepared.max_fee_per_gas),
        "max_priority_fee": str(prepared.max_priority_fee_per_gas),
        "prepared_ms": now_ms,
        "open": True,
    }


def _entry(row: sa.RowMapping) -> OutboxEntry:
    transaction = PreparedTransaction(
        raw=row["raw"],
        tx_hash=row["tx_hash"],
        sender=row["sender"],
        nonce=row["nonce"],
        call=Call(row["call_to"], row["call_data"], row["call_label"]),
        gas_limit=row["gas_limit"],
        max_fee_per_gas=int(row["max_fee"]),
        max_priority_fee_per_gas=int(row["max_priority_fee"]),
    )
    return OutboxEntry(row["item_id"], transaction, row["prepared_ms"])
