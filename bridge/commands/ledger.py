"""`lianqiao ledger`: a development home, the node, and what a member does with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.commands.connection import DEFAULT_HOME, Connection, connection_options
from bridge.commands.output import (
    HexParam,
    console,
    json_option,
    print_json,
    print_rows,
    read_file,
)
from bridge.commands.secrets import passphrase_for, sealing_key
from lianqiao_base.errors import Rejected

if TYPE_CHECKING:
    from mainland_chain.client import LedgerClient, LedgerStatus
    from mainland_chain.engines.protocol import Outcome
    from mainland_chain.transaction_builder import BuiltTransaction

T = TypeVar("T")
_HOME = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def ledger() -> None:
    """Run the mainland ledger and work with it.

    \b
    A ledger of your own in four steps:
      lianqiao ledger init my-ledger
      lianqiao ledger serve --home my-ledger        (leave it running)
      lianqiao ledger status --home my-ledger
      lianqiao ledger submit asset.json --home my-ledger
    """


@ledger.command("init")
@click.argument("folder", type=_HOME, default=DEFAULT_HOME)
@click.option("--name", default="lianqiao-development", show_default=True, help="Name in the genesis document.")
@click.option("--listen", default="127.0.0.1:7051", show_default=True, metavar="HOST:PORT", help="Where it will serve.")
@json_option
def init_home(folder: Path, name: str, listen: str, as_json: bool) -> None:
    """Write a development home: genesis, keys, certificates, configuration.

    Six organisations, four of which validate. All their keys lie in this one folder, which is what makes it a
    development ledger: in a consortium each organisation keeps its own. Never overwrites a home.

    \b
    Example:
      lianqiao ledger init my-ledger --listen 127.0.0.1:7051

    Next: `lianqiao ledger serve --home my-ledger`.
    """
    from mainland_chain.app import clock_ms
    from mainland_chain.home import init

    home = init(folder, now_ms=clock_ms(), name=name, listen=listen)
    genesis = home.genesis()
    document = {
        "home": str(folder),
        "config": str(home.config_path),
        "chain_id": genesis.chain_id,
        "validators": [v.organisation_id for v in genesis.validators],
        "members": [m.member_id for m in genesis.members],
    }
    if as_json:
        print_json(document)
        return
    rows = [
        ("chain id", genesis.chain_id.hex()),
        ("validators", ", ".join(v.organisation_id for v in genesis.validators)),
        ("members", ", ".join(m.member_id for m in genesis.members)),
        ("configuration", str(home.config_path)),
        ("next", f"lianqiao ledger serve --home {folder}"),
    ]
    print_rows(console(), f"A development ledger is in {folder}", rows)


@ledger.command("serve")
@click.option("--home", type=_HOME, default=DEFAULT_HOME, show_default=True, help="A home made by `ledger init`.")
@click.option("--config", type=_FILE, help="Configuration file, instead of the home's config.toml.")
def serve_ledger(home: Path, config: Path | None) -> None:
    """Run the ledger until SIGTERM or Ctrl-C.

    Prints one line with its address when it serves; logs go to standard error as the configuration says. Killed at any
    instant, it starts again at the same head.

    \b
    Examples:
      lianqiao ledger serve --home my-ledger
      lianqiao ledger serve --config /etc/lianqiao/ledger.toml

    Next, in another terminal: `lianqiao ledger status --home my-ledger`.
    """
    from mainland_chain.app import LedgerNode, serve

    def ready(node: LedgerNode) -> None:
        click.echo(f"ledger serves {node.server.address}  chain id {node.application.chain_id.hex()}")

    asyncio.run(serve(config or home / "config.toml", ready=ready))


@ledger.command("status")
@connection_options
@json_option
def status(connection: Connection, as_json: bool) -> None:
    """Show where the ledger stands: height, certified height, export log, validators.

    \b
    Examples:
      lianqiao ledger status --home my-ledger
      lianqiao ledger status --target ledger.example:7051 --tls-certificate me.pem --tls-key me.key --tls-authority ca.pem
    """
    found = _with_client(connection, lambda client: client.status())
    if as_json:
        print_json(_status_document(found))
        return
    names = {v.public_key: v.organisation_id for v in found.genesis.validators}
    rows = [
        ("chain id", found.chain_id.hex()),
        ("height", str(found.height)),
        ("certified height", str(found.certified_height)),
        ("export log", f"{found.log_size} claims"),
        ("waiting", f"{found.pending} transactions"),
        ("engine", found.engine),
        ("epoch", f"{found.validators.epoch}, {found.validators.quorum} of {len(found.validators.members)} sign"),
        *(("validator", names.get(m.public_key, m.org_id.hex())) for m in found.validators.members),
    ]
    print_rows(console(), f"Ledger {found.genesis.name}", rows)


@ledger.command("submit")
@click.argument("document", type=_FILE)
@connection_options
@click.option("--keystore", type=_FILE, help="Keystore with your member key, instead of the home's members.keystore.")
@click.option(
    "--device-keystore", type=_FILE, help="Keystore with the device's key, named as the device. [default: same]"
)
@click.option("--sealing-key", "sealing_file", type=_FILE, help="Your SM4 key for contact fields; made when missing.")
@click.option(
    "--wait",
    type=click.Choice(["admitted", "committed", "certified"]),
    default="certified",
    show_default=True,
    help="How far to wait.",
)
@click.option("--sign-only", type=_FILE, metavar="FILE", help="Write the signed transaction there and send nothing.")
@json_option
def submit(
    document: Path,
    connection: Connection,
    keystore: Path | None,
    device_keystore: Path | None,
    sealing_file: Path | None,
    wait: str,
    sign_only: Path | None,
    as_json: bool,
) -> None:
    """Submit one transaction: a JSON document, or a file with a serialized SignedTransaction.

    A JSON document is an asset, a device, telemetry or a lock; it is signed with the member's key, and readings and
    devices with the device's. Contact fields of an asset (`sealed`) are encrypted here and never sent in clear.

    \b
    Documents:
      {"type": "asset", "asset_id": "pv-1", "plant_name": "Roof 1", "capacity_w": 6000, "division_code": "440305",
       "commissioning_date": "2024-05-01", "legal_owner": "Sunfield Power Co., Ltd.", "unit_count": 1000,
       "sealed": {"contact_name": "...", "contact_phone": "...", "contact_id_number": "..."}}
      {"type": "device", "device_id": "dev-1", "asset_id": "pv-1", "manufacturer": "M", "model": "X", "serial": "1",
       "rated_power_w": 6000, "interval_ms": 900000, "signing_mode": "batch"}
      {"type": "telemetry", "device_id": "dev-1", "signing_mode": "batch", "readings": [{"sequence": 1,
       "time_ms": 1735689600000, "energy_wh": 250, "power_w": 1000, "irradiance_w_m2": 300}]}
      {"type": "lock", "lock_id": "lock-1", "asset_id": "pv-1", "units": 100, "destination": "<32 bytes hex>",
       "issuer": "0x<20 bytes hex>", "filing_reference": "...", "expires_at_ms": 1767225600000}

    \b
    Examples:
      lianqiao ledger submit asset.json --home my-ledger --sealing-key my-sealing.key
      lianqiao ledger submit signed.bin --home my-ledger --wait committed

    A file that was submitted before gives its first outcome again. Next: `lianqiao ledger proof --transaction HASH`.
    """
    data = read_file(document, "document")
    built = None
    if data.lstrip()[:1] == b"{":
        built = _build(data, document, connection, keystore, device_keystore, sealing_file)
        data = built.raw
    if sign_only is not None:
        _save(sign_only, data, built)
        return
    from mainland_chain.engines.protocol import Stage

    outcome = _with_client(connection, lambda client: client.submit(data, Stage[wait.upper()]))
    _print_outcome(outcome, as_json)


@ledger.command("proof")
@connection_options
@click.option("--claim", "claim_index", type=click.IntRange(min=0), help="Index in the export log.")
@click.option("--transaction", "tx_hash", type=HexParam(32), help="Hash of a transaction.")
def proof(connection: Connection, claim_index: int | None, tx_hash: bytes | None) -> None:
    """Print a proof as JSON, after verifying it here.

    A claim is proven to be in the export log, a transaction's result in its block, each under a certificate of the
    validators in the genesis that you trust. A proof that does not verify is not printed.

    \b
    Examples:
      lianqiao ledger proof --home my-ledger --claim 0 > claim-0.json
      lianqiao ledger proof --home my-ledger --transaction 5b0c... > result.json
    """
    from bridge.commands import proofs

    if (claim_index is None) == (tx_hash is None):
        raise click.UsageError("give either --claim INDEX or --transaction HASH")
    genesis = connection.genesis()

    async def fetch(client: LedgerClient) -> dict[str, Any]:
        if tx_hash is not None:
            return await proofs.transaction_proof(client, genesis, tx_hash)
        return await proofs.claim_proof(client, genesis, claim_index or 0)

    document = _with_client(connection, fetch)
    click.echo(f"verified: {document.pop('verified')}", err=True)
    print_json(document)


def _with_client(connection: Connection, use: Callable[[LedgerClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connection.client() as client:
            return await use(client)

    return asyncio.run(run())


def _build(
    data: bytes,
    source: Path,
    connection: Connection,
    keystore: Path | None,
    device_keystore: Path | None,
    sealing_file: Path | None,
) -> BuiltTransaction:
    from bridge.commands.documents import build, parse_document
    from mainland_chain.crypto.keystore import Keystore
    from mainland_chain.crypto.sm2 import PrivateKey
    from mainland_chain.transaction_builder import TransactionBuilder

    document = parse_document(data, str(source))
    path = keystore or connection.home().member_keystore
    members = Keystore.open(path, passphrase_for(path))

    def device_key(device_id: str) -> PrivateKey:
        if device_keystore is None:
            return members.private_key(device_id)
        return Keystore.open(device_keystore, passphrase_for(device_keystore)).private_key(device_id)

    def seal() -> bytes:
        if sealing_file is None:
            raise Rejected(
                "SEALING_KEY",
                "contact fields need a key of yours",
                subject=str(source),
                hint="name a file with --sealing-key; it is made when missing",
            )
        return sealing_key(sealing_file)

    builder = TransactionBuilder(
        connection.genesis().chain_id,
        connection.member,
        members.private_key(connection.member),
        lambda: time.time_ns() // 1_000,
    )
    return build(document, builder, device_key, seal)


def _save(path: Path, raw: bytes, built: BuiltTransaction | None) -> None:
    try:
        with path.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        raise Rejected("FILE_EXISTS", "it is there already", subject=str(path), hint="choose another path") from None
    known = f"  transaction {built.tx_hash.hex()}" if built is not None else ""
    click.echo(f"signed transaction in {path}{known}")


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    result = outcome.result
    refused = outcome.height > 0 and result.code != "OK"
    document = {
        "transaction": result.tx_hash,
        "code": result.code,
        "height": outcome.height,
        "index": outcome.index,
        "certified": outcome.certified,
        "record_id": result.record_id,
        "record_root": result.record_root,
        "log_index": result.log_index,
        "flagged": {str(sequence): list(rules) for sequence, rules in result.flagged},
    }
    if as_json:
        print_json(document)
    elif not refused:
        rows = [("transaction", result.tx_hash.hex()), ("code", result.code)]
        if outcome.height:
            rows.append(("block", f"{outcome.height}, {'certified' if outcome.certified else 'not certified yet'}"))
        if result.record_id:
            rows.append(("record", result.record_id.hex()))
        if result.log_index is not None:
            rows.append(("export log", f"claim {result.log_index}"))
        rows += [(f"reading {sequence}", "flagged: " + ", ".join(rules)) for sequence, rules in result.flagged]
        print_rows(console(), "Submitted", rows)
    if refused:
        raise Rejected(result.code, result.message, subject=result.tx_hash.hex())


def _status_document(found: LedgerStatus) -> dict[str, Any]:
    return {
        "name": found.genesis.name,
        "chain_id": found.chain_id,
        "height": found.height,
        "certified_height": found.certified_height,
        "log_size": found.log_size,
        "pending": found.pending,
        "engine": found.engine,
        "epoch": found.validators.epoch,
        "quorum": found.validators.quorum,
        "validators": [{"org_id": m.org_id, "public_key": m.public_key} for m in found.validators.members],
    }
