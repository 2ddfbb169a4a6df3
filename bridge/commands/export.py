"""`lianqiao export`: the mainland's end of the border."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.commands.connection import DEFAULT_HOME, DEFAULT_MEMBER
from bridge.commands.output import HexParam, console, json_option, print_json, print_rows
from lianqiao_base.errors import Fatal, NotFound, Rejected

if TYPE_CHECKING:
    from bridge.export.config import ExportConfig
    from bridge.export.store import ExportJob, ExportStore
    from mainland_chain.export.policy import ExportPolicy

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_KINDS = ("AssetClaim", "TelemetryClaim", "UnitLockClaim")
_config_option = click.option("--config", type=_FILE, required=True, help="Configuration file (see `export init`).")


@click.group()
def export() -> None:
    """Run the export process: what may leave the mainland is asked for, proved and handed over.

    \b
    With a ledger and a delivery node of your own:
      lianqiao export init mainland --ledger-home my-ledger --border-tls hong-kong/tls
      lianqiao export serve --config mainland/export.toml
      lianqiao export request AssetClaim --config mainland/export.toml --record HEX --field capacity_w ...
      lianqiao export list --config mainland/export.toml
    """


@export.command("init")
@click.argument("folder", type=_FOLDER, default=Path("mainland"))
@click.option("--ledger-home", type=_FOLDER, default=DEFAULT_HOME, show_default=True, help="A home of `ledger init`.")
@click.option(
    "--member", default=DEFAULT_MEMBER, show_default=True, help="Who asks; its organisation owns the records."
)
@click.option("--border", default="127.0.0.1:7443", show_default=True, metavar="HOST:PORT", help="The delivery node.")
@click.option(
    "--border-tls",
    type=_FOLDER,
    default=Path("hong-kong/tls"),
    show_default=True,
    help="Folder with bridge.pem, bridge.key and ca.pem, as `deliver init` makes it.",
)
@json_option
def init_home(folder: Path, ledger_home: Path, member: str, border: str, border_tls: Path, as_json: bool) -> None:
    """Write a development home: a gate key and a commented export.toml. Never overwrites one.

    \b
    Example:
      lianqiao export init mainland --ledger-home my-ledger --border-tls hong-kong/tls

    Next: have a policy that names the gate's key published on the ledger, and put it into policy.json (docs/operations.md).
    """
    from bridge.commands.export_home import write_home
    from mainland_chain.home import LedgerHome

    ledger = LedgerHome(ledger_home)
    if not ledger.config_path.is_file():
        raise NotFound("HOME_NOT_FOUND", "no ledger home here", subject=str(ledger_home), hint="give --ledger-home")
    home = write_home(folder, ledger, border, border_tls, member)
    if as_json:
        print_json({"config": str(home.config), "gate_public_key": home.gate_public_key})
        return
    rows = [
        ("gate key", home.gate_public_key.hex()),
        ("first", "publish a policy that names this key; put it beside as policy.json (chmod 600)"),
        ("then", f"add [[approvals]] to {home.config}"),
        ("then", f"lianqiao export serve --config {home.config}"),
    ]
    print_rows(console(), f"A development export home is in {folder}", rows)


@export.command("serve")
@_config_option
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO", show_default=True
)
def serve_export(config: Path, log_format: str, log_level: str) -> None:
    """Run the export process until SIGTERM or Ctrl-C.

    Prints one line when it works; logs go to standard error. Every step is stored before it acts: killed at any instant,
    it goes on where it was, and no claim is logged or handed over twice.

    \b
    Example:
      lianqiao export serve --config mainland/export.toml
    """
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.export.app import serve
    from bridge.export.config import ExportConfig
    from lianqiao_base import logs

    loaded = ExportConfig.load(config)
    logs.configure(log_level, "json" if log_format == "json" else "text")
    try:
        asyncio.run(serve(loaded, ready=lambda: click.echo("export works")))
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        # Its text may hold the URL's password.
        raise Fatal(
            "STORE_UNAVAILABLE",
            f"a store cannot be used: {type(error).__name__}",
            subject=str(config),
            hint="check store_url and gate.store_url, and that the database's driver is installed",
        ) from error


@export.command("request")
@_config_option
@click.argument("kind", type=click.Choice(_KINDS))
@click.option(
    "--record", "records", type=HexParam(32), multiple=True, required=True, help="Record id; telemetry: in order."
)
@click.option("--field", "fields", multiple=True, metavar="NAME", help="A field that the policy lets out; repeat it.")
@click.option("--filing", required=True, metavar="REFERENCE", help="Reference of the filing.")
@click.option("--approval", required=True, metavar="REFERENCE", help="Reference of a configured approval.")
@click.option("--destination", type=HexParam(32), help="Only where the policy names several.")
@click.option("--again", is_flag=True, help="Take a refused job up again, after its reason was mended.")
@json_option
def request(
    config: Path,
    kind: str,
    records: tuple[bytes, ...],
    fields: tuple[str, ...],
    filing: str,
    approval: str,
    destination: bytes | None,
    again: bool,
    as_json: bool,
) -> None:
    """Put a request into the job store; a running export process takes it up. Asking twice for the same is one job.

    \b
    Examples:
      lianqiao export request AssetClaim --config mainland/export.toml --record 8c1f... --field capacity_w \\
        --filing CSRC-RWA-2026-0001 --approval CAC-SC-2026-0001
    """
    from bridge.export.config import ExportConfig
    from bridge.export.policy_file import load_policy
    from bridge.export.store import JobState, new_job

    loaded = ExportConfig.load(config)
    policy = load_policy(loaded.policy)
    _check(loaded, records, approval)
    job = new_job(
        kind,
        records,
        fields,
        _destination(policy, destination),
        policy.version,
        filing_reference=filing,
        approval_reference=approval,
    )
    with _store(loaded) as store:
        known = store.add(job)
        if again and known.state is JobState.REFUSED:
            known = store.ask_again(known)
    if as_json:
        print_json(_document(known))
        return
    print_rows(console(), f"Export {known.job_id.hex()}", _rows(known))


@export.command("list")
@_config_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first.")
@json_option
def list_jobs(config: Path, limit: int, as_json: bool) -> None:
    """Show export jobs: what was asked, where it stands and why.

    \b
    asked -> decided -> logged -> delivered -> final, or refused

    \b
    Example:
      lianqiao export list --config mainland/export.toml

    A packet's way in Hong Kong: `lianqiao trace PACKET --target HOST:PORT --tls-folder FOLDER --tls-name bridge`.
    """
    from bridge.export.config import ExportConfig

    with _store(ExportConfig.load(config)) as store:
        jobs = store.newest(limit)
    if as_json:
        print_json([_document(job) for job in jobs])
        return
    out = console()
    if not jobs:
        click.echo("no export was asked for yet")
    for job in jobs:
        print_rows(out, f"Export {job.job_id.hex()}", _rows(job))


def _check(config: ExportConfig, records: tuple[bytes, ...], approval: str) -> None:
    """What can be seen to be wrong at once is not stored."""
    if len(set(records)) != len(records):
        raise Rejected("RECORD_NAMED_TWICE", "a record is named twice")
    if config.register().find(approval) is None:
        raise Rejected(
            "APPROVAL_UNKNOWN",
            "no approval is configured under this reference",
            subject=approval,
            hint="see [[approvals]]",
        )


def _destination(policy: ExportPolicy, wanted: bytes | None) -> bytes:
    ids = [d.destination for d in policy.destinations]
    if wanted is None:
        if len(ids) > 1:
            raise Rejected("DESTINATION_NEEDED", "the policy names several", hint="give --destination")
        return ids[0]
    if wanted not in ids:
        raise Rejected("DESTINATION_NOT_ALLOWED", "the policy does not name it", subject=wanted.hex())
    return wanted


@contextmanager
def _store(config: ExportConfig) -> Iterator[ExportStore]:
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.export.store import ExportStore

    try:
        store = ExportStore(config.store_url)
        try:
            yield store
        finally:
            store.close()
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise Fatal(
            "STORE_UNAVAILABLE",
            f"the job store cannot be used: {type(error).__name__}",
            hint="check store_url, and that the database's driver is installed",
        ) from error


def _document(job: ExportJob) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "state": job.state.value,
        "reason": job.reason,
        "record_ids": list(job.record_ids),
        "fields": list(job.fields),
        "destination": job.destination,
        "policy_version": job.policy_version,
        "log_index": job.log_index if job.log_index >= 0 else None,
        "packet_id": job.packet_id or None,
    }


def _rows(job: ExportJob) -> list[tuple[str, str]]:
    rows = [("kind", job.kind), ("state", job.state.value)]
    if job.reason:
        rows.append(("why", job.reason))
    rows += [("record", record.hex()) for record in job.record_ids[:1]]
    if len(job.record_ids) > 1:
        rows.append(("records", f"{len(job.record_ids)} in all"))
    if job.log_index >= 0:
        rows.append(("log index", str(job.log_index)))
    if job.packet_id:
        rows.append(("packet", job.packet_id.hex()))
    return rows
