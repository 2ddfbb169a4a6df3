"""`lianqiao verify`: the auditor's checklist over one bundle."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from bridge.commands.output import REJECTED_EXIT, HexParam, console, json_option, print_json, printable

_MARKS = {True: ("ok", "green"), False: ("FAILED", "bold red"), None: ("not shown", "yellow")}


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--genesis-hash",
    type=HexParam(32),
    help="Chain id of the ledger that you trust: SM3 of its genesis document, from a source of your own.",
)
@click.option(
    "--l2-block-hash",
    type=HexParam(32),
    help="Hash of the L2 block of the mint, from a source of your own: shows offline that the block is final.",
)
@click.option(
    "--l2-url", metavar="URL", help="A node of the L2 that you trust; without this nothing leaves this machine."
)
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    bundle: Path,
    genesis_hash: bytes | None,
    l2_block_hash: bytes | None,
    l2_url: str | None,
    as_json: bool,
) -> None:
    """Audit one mint from its bundle, offline.

    Recomputes everything from the bundle alone: the validators' SM2 certificates, the Merkle paths of the claims, the
    issuer's order, the compliance clearance and its decision, the L2 transaction, receipt and block. The checklist ends
    at the first check that fails. What offline cannot show is named as "not shown", with what you need to show it.

    \b
    Examples:
      lianqiao verify demo-output/bundle.json
      lianqiao verify bundle.json --genesis-hash 4f0c... --l2-block-hash 0x91ab...
      lianqiao verify bundle.json --l2-url https://node.example

    Exit code 0 when nothing failed, 1 when a check failed or there is no such bundle.
    """
    from bridge.bundle.report import verify_file

    report = verify_file(bundle, genesis_hash=genesis_hash, l2_block_hash=l2_block_hash, l2_url=l2_url)
    if as_json:
        print_json(
            {
                "ok": report.ok,
                "complete": report.ok and not report.unshown,
                "checks": [
                    {"number": r.number, "title": r.title, "ok": r.ok, "detail": r.detail} for r in report.results
                ],
            }
        )
    else:
        out = console()
        for result in report.results:
            mark, style = _MARKS[result.ok]
            line = Text.assemble(f"{result.number:>2}. ", (f"{mark:<9} ", style), printable(result.title))
            out.print(line, soft_wrap=True)
            out.print(Text(f"              {printable(result.detail)}", style="dim"), soft_wrap=True)
        out.print(Text(printable(report.lines()[-1]), style="bold green" if report.ok else "bold red"), soft_wrap=True)
    if not report.ok:
        ctx.exit(REJECTED_EXIT)
