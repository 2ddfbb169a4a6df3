"""How a command reaches a ledger: a development home, or an address with certificate files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lianqiao_base.errors import NotFound, Rejected
from lianqiao_base.tls import TlsFiles

if TYPE_CHECKING:
    from mainland_chain.client import LedgerClient
    from mainland_chain.home import LedgerHome
    from mainland_chain.light.genesis import Genesis

DEFAULT_HOME = Path("ledger-home")
DEFAULT_MEMBER = "ops.originator"
_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options said."""

    folder: Path
    member: str
    target: str
    certificate: Path | None
    private_key: Path | None
    authority: Path | None
    pinned_genesis: Path | None
    timeout_s: float

    def home(self) -> LedgerHome:
        """The development home. Raises `NotFound("HOME_NOT_FOUND")`."""
        from mainland_chain.home import LedgerHome

        home = LedgerHome(self.folder)
        if not home.config_path.exists():
            raise NotFound(
                "HOME_NOT_FOUND",
                "no ledger home here",
                subject=str(self.folder),
                hint="name it with --home, or make one with `lianqiao ledger init`",
            )
        return home

    def client(self) -> LedgerClient:
        """A connection to the ledger. Call on the event loop that will use it."""
        from mainland_chain.client import LedgerClient, RetryPolicy

        retry = RetryPolicy(deadline_s=self.timeout_s)
        if self.certificate is None and self.private_key is None and self.authority is None:
            return self.home().client(self.member, target=self.target or None, retry=retry)
        if self.certificate is None or self.private_key is None or self.authority is None or not self.target:
            raise click.UsageError(
                "without a home, give --target, --tls-certificate, --tls-key and --tls-authority together"
            )
        return LedgerClient(self.target, TlsFiles(self.certificate, self.private_key, self.authority), retry=retry)

    def genesis(self) -> Genesis:
        """The genesis to trust: the pinned file, else the home's. Raises `Rejected("GENESIS_NEEDED")`."""
        from bridge.commands.output import read_file
        from mainland_chain.light.genesis import Genesis

        if self.pinned_genesis is not None:
            return Genesis.decode(read_file(self.pinned_genesis, "genesis"))
        if self.certificate is not None:
            raise Rejected(
                "GENESIS_NEEDED", "a ledger cannot vouch for itself", hint="give the genesis you trust with --genesis"
            )
        return self.home().genesis()


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options and hands the command one `connection`."""

    @wraps(command)
    def with_connection(**options: Any) -> Any:
        connection = Connection(
            folder=options.pop("home"),
            member=options.pop("member"),
            target=options.pop("target"),
            certificate=options.pop("tls_certificate"),
            private_key=options.pop("tls_key"),
            authority=options.pop("tls_authority"),
            pinned_genesis=options.pop("genesis"),
            timeout_s=options.pop("timeout"),
        )
        return command(connection=connection, **options)

    for option in reversed(
        (
            click.option(
                "--home",
                type=click.Path(path_type=Path, file_okay=False),
                default=DEFAULT_HOME,
                show_default=True,
                help="A home made by `ledger init`.",
            ),
            click.option("--member", default=DEFAULT_MEMBER, show_default=True, help="Who you are on the ledger."),
            click.option("--target", default="", metavar="HOST:PORT", help="Address; else the home's."),
            click.option("--tls-certificate", type=_FILE, help="Your certificate (PEM), instead of the home's."),
            click.option("--tls-key", type=_FILE, help="Its private key (PEM, mode 0600)."),
            click.option("--tls-authority", type=_FILE, help="Authorities of the ledger's certificate (PEM)."),
            click.option("--genesis", type=_FILE, help="The genesis you trust, instead of the home's."),
            click.option("--timeout", default=15.0, show_default=True, help="Seconds to keep trying."),
        )
    ):
        with_connection = option(with_connection)
    return with_connection
