"""The ledger's database: SQLAlchemy over SQLite (WAL) or PostgreSQL. `models` are the tables, `sql` reads and
writes them, `integrity` looks for contradictions when a database is opened."""

from mainland_chain.store.models import metadata
from mainland_chain.store.sql import SqlLedgerStore

__all__ = ["SqlLedgerStore", "metadata"]
