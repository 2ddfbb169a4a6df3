"""`lianqiao deliver`: the border's Hong Kong end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bridge.commands.connection import DEFAULT_HOME
from bridge.commands.output import console, json_option, print_json, print_rows, read_file
from lianqiao_base.errors import Fatal, NotFound

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def deliver() -> None:
    """Run the delivery node: it verifies what crosses the border, asks for clearance, and mints.

    \b
    A node of your own, with a development L2 (anvil) running:
      lianqiao deliver init hong-kong --ledger-home my-ledger
      lianqiao l2 deploy --config hong-kong/deploy.toml     (fund deployer and relayer first)
      lianqiao deliver serve --config hong-kong/delivery.toml
    """


@deliver.command("init")
@click.argument("folder", type=_FOLDER, default=Path("hong-kong"))
@click.option("--ledger-home", type=_FOLDER, default=DEFAULT_HOME, show_default=True, help="Take its genesis.")
@click.option("--genesis", type=_FILE, help="The genesis you trust, instead of a home's.")
@click.option("--profile", default="anvil", show_default=True, help="Network profile, see `lianqiao l2 profiles`.")
@click.option("--chain-id", type=int, help="Chain id, for generic profiles.")
@click.option("--l2-url", default="http://127.0.0.1:8545", show_default=True, metavar="URL", help="JSON-RPC node.")
@click.option("--listen", default="127.0.0.1:7443", show_default=True, metavar="HOST:PORT", help="Where it will serve.")
@json_option
def init_home(
    folder: Path,
    ledger_home: Path,
    genesis: Path | None,
    profile: str,
    chain_id: int | None,
    l2_url: str,
    listen: str,
    as_json: bool,
) -> None:
    """Write a development home: two commented configurations, keys, certificates.

    delivery.toml is for `lianqiao deliver serve`, deploy.toml for `lianqiao l2 deploy`. All accounts lie in this one
    folder under one passphrase, which is what makes it a development home. Never overwrites one.

    \b
    Example:
      lianqiao deliver init hong-kong --ledger-home my-ledger

    Next: fund the deployer and the relayer on the L2, then `lianqiao l2 deploy --config hong-kong/deploy.toml`.
    """
    from bridge.commands.deliver_home import write_home
    from mainland_chain.light.genesis import Genesis

    source = genesis or ledger_home / "genesis.json"
    if not source.is_file():
        raise NotFound("GENESIS_NOT_FOUND", "no genesis document here", subject=str(source), hint="give --genesis FILE")
    trusted = Genesis.decode(read_file(source, "genesis"))
    home = write_home(folder, trusted, profile=profile, chain_id=chain_id, l2_url=l2_url, listen=listen)
    if as_json:
        print_json(
            {
                "delivery_config": str(home.delivery_config),
                "deploy_config": str(home.deploy_config),
                "ledger_chain_id": trusted.chain_id,
                "accounts": home.addresses,
            }
        )
        return
    rows = [
        ("ledger", trusted.chain_id.hex()),
        *home.addresses.items(),
        ("fund on the L2", "deployer and relayer"),
        ("next", f"lianqiao l2 deploy --config {home.deploy_config}"),
        ("then", f"lianqiao deliver serve --config {home.delivery_config}"),
    ]
    print_rows(console(), f"A development delivery home is in {folder}", rows)


@deliver.command("serve")
@click.option("--config", type=_FILE, required=True, help="Configuration file (see `lianqiao deliver init`).")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO", show_default=True
)
def serve_delivery(config: Path, log_format: str, log_level: str) -> None:
    """Run a delivery node until SIGTERM or Ctrl-C.

    Prints one line with its port when it serves; logs go to standard error. Every step is stored before it acts: killed
    at any instant, it goes on where it was, and nothing is minted twice.

    \b
    Example:
      lianqiao deliver serve --config hong-kong/delivery.toml

    Next: `lianqiao trace ID --config hong-kong/delivery.toml` for any packet or order.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.delivery.app import serve
    from bridge.delivery.config import DeliveryConfig
    from lianqiao_base import logs

    loaded = DeliveryConfig.load(config)
    logs.configure(log_level, "json" if log_format == "json" else "text")
    try:
        asyncio.run(serve(loaded, ready=lambda port: click.echo(f"delivery serves port {port}")))
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        # Its text may hold the URL's password.
        raise Fatal(
            "STORE_UNAVAILABLE",
            f"a store cannot be used: {type(error).__name__}",
            subject=str(config),
            hint="check store_url and gate.store_url, and that the database's driver is installed",
        ) from error
