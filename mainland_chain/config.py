"""Configuration of a ledger node: one TOML file. Relative paths are relative to that file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from lianqiao_base.errors import Fatal
from lianqiao_base.passphrase import PASSPHRASE_FILE_VARIABLE
from lianqiao_base.tls import TlsFiles


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSection(_Section):
    """PEM files."""

    certificate: Path
    private_key: Path
    authority: Path

    def files(self) -> TlsFiles:
        return TlsFiles(self.certificate, self.private_key, self.authority)


class ServerSection(_Section):
    """Where the service listens."""

    listen: str = "127.0.0.1:7051"
    max_concurrent_calls: PositiveInt = 1_000
    stop_grace_seconds: PositiveInt = 10


class StoreSection(_Section):
    """A SQLite file, or a PostgreSQL URL without a password (use a pgpass file)."""

    path: Path | None = None
    url: str | None = None


class BlockSection(_Section):
    """When a block is made, and how much may wait."""

    interval_ms: Annotated[int, Field(ge=10, le=60_000)] = 200
    max_transactions: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    max_bytes: Annotated[int, Field(ge=65_536, le=4_194_304)] = 4_194_304
    pending_transactions: PositiveInt = 10_000
    pending_bytes: PositiveInt = 32 * 1024 * 1024


class KeysSection(_Section):
    """The encrypted keystore and the file (0600) that holds its passphrase."""

    keystore: Path
    passphrase_file: Path


class LogSection(_Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "text"


class LedgerConfig(_Section):
    """The whole file."""

    genesis: Path
    store: StoreSection
    keys: KeysSection
    tls: TlsSection
    server: ServerSection = ServerSection()
    blocks: BlockSection = BlockSection()
    log: LogSection = LogSection()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check. Raises `Fatal("CONFIG")` that names every wrong setting, never its value."""
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Fatal("CONFIG", f"cannot be read: {error}", subject=str(path)) from None
        try:
            config = cls.model_validate(document)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise Fatal("CONFIG", wrong, subject=str(path), hint="correct these settings") from None
        if (config.store.path is None) == (config.store.url is None):
            raise Fatal("CONFIG", "store: set either path or url", subject=str(path))
        return config._resolved(path.resolve().parent)

    def _resolved(self, base: Path) -> Self:
        passphrase_file = Path(os.environ.get(PASSPHRASE_FILE_VARIABLE, base / self.keys.passphrase_file))
        store = self.store if self.store.path is None else StoreSection(path=base / self.store.path)
        return self.model_copy(
            update={
                "genesis": base / self.genesis,
                "store": store,
                "keys": KeysSection(keystore=base / self.keys.keystore, passphrase_file=passphrase_file),
                "tls": TlsSection(
                    certificate=base / self.tls.certificate,
                    private_key=base / self.tls.private_key,
                    authority=base / self.tls.authority,
                ),
            }
        )
