"""Tables of the ledger. One set for SQLite and PostgreSQL; migrations start from `metadata`.

Unsigned 64-bit numbers that matter to a proof live inside blobs (header, checkpoint); a column repeats them only
where a query needs it, as BIGINT, and a height or log index never reaches 2^63.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)

SCHEMA_VERSION = 1

ledger = Table(
    "ledger",
    metadata,
    Column("chain_id", LargeBinary(32), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    comment="One row: whose blocks these are.",
)

blocks = Table(
    "blocks",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("header", LargeBinary, nullable=False),
    Column("header_hash", LargeBinary(32), nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("height", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("record_id", LargeBinary(32), nullable=False),
    Column("record_root", LargeBinary(32), nullable=False),
    Column("log_index", BigInteger),
    Column("flagged", Text, nullable=False, comment="JSON: [[sequence, [rule, ...]], ...]"),
    Column("result_leaf", LargeBinary, nullable=False),
    Column("signed", LargeBinary, nullable=False, comment="Serialized SignedTransaction."),
    PrimaryKeyConstraint("height", "position"),
    # Not unique: a transaction refused in one block may be accepted in a later one.
    Index(None, "tx_hash"),
)

records = Table(
    "records",
    metadata,
    Column("record_id", LargeBinary(32), primary_key=True),
    Column("record_type", String(32), nullable=False),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("organisation_id", String(64), nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("data", LargeBinary, nullable=False),
)

state_entries = Table(
    "state_entries",
    metadata,
    Column("key", String(512), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

claims = Table(
    "claims",
    metadata,
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("claim", LargeBinary, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("record_ids", LargeBinary, nullable=False, comment="32 bytes each, concatenated."),
)

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", Integer, nullable=False),
    Column("node_index", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("level", "node_index"),
    sqlite_with_rowid=False,
)

certificates = Table(
    "certificates",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("checkpoint", LargeBinary(256), nullable=False, comment="ABI encoding, eight words."),
    Column("bitmap", LargeBinary(8), nullable=False, comment="u64, big-endian."),
    Column("signatures", LargeBinary, nullable=False, comment="64 bytes each, rising bit order."),
)
