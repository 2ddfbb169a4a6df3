"""The command line: `lianqiao`. Commands live in `bridge.commands`; this file only puts them together."""

from __future__ import annotations

import sys
from importlib.metadata import version

import click

from bridge.commands.deliver import deliver
from bridge.commands.demo import demo
from bridge.commands.export import export
from bridge.commands.group import TypedErrorGroup
from bridge.commands.keys import keys
from bridge.commands.l2 import l2
from bridge.commands.ledger import ledger
from bridge.commands.trace import trace
from bridge.commands.verify import verify


@click.group(
    cls=TypedErrorGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 rejected or verification failed, 2 wrong usage, 3 try again later, 4 an operator must look.",
)
@click.version_option(version("lianqiao"), "--version", message="lianqiao %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, for a bug report.")
def cli(debug: bool) -> None:
    """Lianqiao: two chains, one bridge.

    A mainland ledger anchors measured energy and asset rights under SM2 signatures; an EVM layer 2 in Hong Kong checks
    those signatures itself and mints tokens that mirror the rights; anybody can audit a mint offline.

    \b
    Begin here:
      lianqiao demo                             the whole way once, in about half a minute
      lianqiao verify demo-output/bundle.json   audit one mint with no network and no trust in us
    \b
    Then run the parts yourself: `lianqiao ledger init`, `lianqiao l2 deploy`, `lianqiao deliver init`.
    """


for command in (demo, verify, trace, keys, ledger, export, deliver, l2):
    cli.add_command(command)


def main() -> None:
    """Entry point of the `lianqiao` script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a substitute instead of ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    cli(prog_name="lianqiao")


if __name__ == "__main__":
    main()
