"""`lianqiao trace`: where a packet or an order stands, why, and what comes next."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.commands.output import HexParam, console, json_option, print_json, print_rows, time_text
from lianqiao_base.errors import NotFound, Rejected
from lianqiao_base.tls import TlsFiles

if TYPE_CHECKING:
    from bridge.delivery.client import Traced

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("item", metavar="ID", type=HexParam(32, least=4))
@click.option("--config", type=_FILE, help="Configuration of a delivery node on this machine: its store is read.")
@click.option("--store", metavar="FILE|URL", help="A delivery store, also of a node that is stopped, or a backup.")
@click.option("--target", metavar="HOST:PORT", help="Ask a running node; you see what you submitted.")
@click.option(
    "--tls-folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --target: folder with NAME.pem, NAME.key and ca.pem.",
)
@click.option("--tls-name", default="issuer", show_default=True, help="With --tls-folder: whose certificate to show.")
@json_option
def trace(
    item: bytes,
    config: Path | None,
    store: str | None,
    target: str | None,
    tls_folder: Path | None,
    tls_name: str,
    as_json: bool,
) -> None:
    """Show where a packet or an order stands, why, who has to act and what comes next.

    ID is the packet's or the order's id, or its first eight or more hex digits. Name one of --config, --store, --target.

    \b
    received -> verified -> cleared | held | refused -> intended -> sent -> mined -> final

    \b
    Examples:
      lianqiao trace 636a49aa96ed --config hong-kong/delivery.toml
      lianqiao trace 636a49aa96ed --store backup/delivery.sqlite3
      lianqiao trace 636a49aa96ed --target 127.0.0.1:7443 --tls-folder hong-kong/tls --tls-name issuer

    Held and refused items name their reason; docs/operations.md says what to do at each.
    """
    if sum(source is not None for source in (config, store, target)) != 1:
        raise click.UsageError("name one of --config, --store, --target")
    if target is not None:
        if tls_folder is None:
            raise click.UsageError("--target needs --tls-folder")
        files = TlsFiles(tls_folder / f"{tls_name}.pem", tls_folder / f"{tls_name}.key", tls_folder / "ca.pem")
        traced = asyncio.run(_ask(target, files, item))
    else:
        traced = _read(_store_url(config, store), item)
    if as_json:
        print_json(_document(traced))
        return
    rows = [("state", traced.state)]
    if traced.reason:
        rows.append(("why", traced.reason))
    rows.append(("next", traced.next_action))
    if traced.l2_transaction_hash:
        rows.append(("L2 transaction", "0x" + traced.l2_transaction_hash.hex()))
    out = console()
    print_rows(out, f"{traced.kind} {traced.item_id.hex()}", rows)
    print_rows(out, "History", [(time_text(s.time_ms), f"{s.state:<9} {s.detail}".rstrip()) for s in traced.steps])


async def _ask(target: str, files: TlsFiles, item: bytes) -> Traced:
    from bridge.delivery.client import DeliveryClient

    async with DeliveryClient(target, files) as client:
        return await client.trace(item)


def _store_url(config: Path | None, store: str | None) -> str:
    if config is not None:
        from bridge.delivery.config import DeliveryConfig

        url = DeliveryConfig.load(config).store_url
    else:
        url = store or ""
        url = url if "://" in url else f"sqlite:///{url}"
    file = url.removeprefix("sqlite:///")
    # Opening would make an empty store.
    if file != url and not Path(file).is_file():
        raise NotFound("STORE_NOT_FOUND", "no delivery store here", subject=file, hint="check the path")
    return url


def _read(url: str, item: bytes) -> Traced:
    """What a node that has this store would answer about any of its items."""
    from sqlalchemy.exc import ArgumentError, DatabaseError

    from bridge.delivery.client import Traced, TracedStep
    from bridge.delivery.store import DeliveryStore
    from bridge.delivery.trace import explain

    try:
        store = DeliveryStore(url)
    except (DatabaseError, ArgumentError) as error:
        raise Rejected("NOT_A_STORE", "this is no delivery store that can be opened", hint="check the path") from error
    try:
        found = store.find_prefix(item)
        if len(found) > 1:
            raise Rejected("AMBIGUOUS_ID", "several ids begin like this", hint="give more of the id")
        if not found:
            raise NotFound("ITEM_UNKNOWN", "no packet or order in this store has this id", subject=item.hex())
        stored = store.get(found[0]).item
        entries = store.outbox(stored.item_id, only_open=False)
        tx_hash = stored.intent.tx_hash if stored.intent else (entries[-1].transaction.tx_hash if entries else None)
        report = explain(stored, tuple(store.steps(stored.item_id)), tx_hash)
    finally:
        store.close()
    return Traced(
        report.item_id,
        report.kind,
        report.state,
        f"{report.reason_code}: {report.reason}" if report.reason_code else "",
        report.next_action,
        tuple(TracedStep(s.state, s.time_ms, s.detail) for s in report.steps),
        report.l2_transaction_hash or b"",
    )


def _document(traced: Traced) -> dict[str, Any]:
    return {
        "id": traced.item_id,
        "kind": traced.kind,
        "state": traced.state,
        "reason": traced.reason,
        "next_action": traced.next_action,
        "l2_transaction": traced.l2_transaction_hash,
        "steps": [{"state": s.state, "time_ms": s.time_ms, "detail": s.detail} for s in traced.steps],
    }
