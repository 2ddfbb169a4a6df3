"""`lianqiao keys`: encrypted keystores of SM2 keys (members, devices, validators) and of EVM accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bridge.commands.output import console, json_option, print_json, print_rows, read_file
from bridge.commands.secrets import passphrase_for
from lianqiao_base.errors import AlreadyExists, NotFound, Rejected

keystore_option = click.option(
    "--keystore",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The keystore file (mode 0600).",
)


@click.group()
def keys() -> None:
    """Make keys and show their public side.

    SM2 keys sign on the mainland: members, devices, validators; many live in one keystore under names. EVM accounts pay
    and sign in Hong Kong; each has a file of its own. Private keys are never printed.

    The passphrase comes from the file that LIANQIAO_PASSPHRASE_FILE names (chmod 600), else from a file `passphrase`
    beside the keystore, else you are asked. Protect a backup of a keystore like the keys themselves.

    \b
    Examples:
      lianqiao keys new dev-roof-1 --keystore my-ledger/members.keystore
      lianqiao keys show --keystore my-ledger/members.keystore

    Next: name the key in `lianqiao ledger submit`.
    """


@keys.command("new")
@click.argument("name", required=False, default="")
@keystore_option
@click.option("--kind", type=click.Choice(["sm2", "evm"]), default="sm2", show_default=True, help="Which curve.")
@json_option
def new(name: str, keystore: Path, kind: str, as_json: bool) -> None:
    """Make a key. Never overwrites one.

    \b
    Examples:
      lianqiao keys new dev-roof-1 --keystore my-ledger/members.keystore
      lianqiao keys new ops.newbank --keystore newbank.keystore
      lianqiao keys new --kind evm --keystore relayer.json

    An SM2 key is then named in transactions (`lianqiao ledger submit`); an EVM account is funded and named in the
    configuration of `lianqiao l2 deploy` or `lianqiao deliver serve`.
    """
    if kind == "evm":
        rows = _new_account(keystore, name)
    else:
        if not name:
            raise click.UsageError("give the key a NAME, for example ops.originator or dev-roof-1")
        rows = _new_sm2(keystore, name)
    _show(rows, as_json, "New key")


@keys.command("show")
@click.argument("name", required=False, default="")
@keystore_option
@json_option
def show(name: str, keystore: Path, as_json: bool) -> None:
    """Show the public side of one key, or of all keys of a keystore.

    \b
    Examples:
      lianqiao keys show --keystore my-ledger/members.keystore
      lianqiao keys show ops.originator --keystore my-ledger/members.keystore --json
    """
    if _is_account(keystore):
        from hk_l2 import keys as accounts

        account = accounts.load(keystore, passphrase_for(keystore))
        _show([_account_row(keystore, account.address)], as_json, str(keystore))
        return
    from mainland_chain.crypto.keystore import Keystore

    opened = Keystore.open(keystore, passphrase_for(keystore))
    names = (name,) if name else opened.names()
    _show([_sm2_row(n, opened.public_key(n)) for n in names], as_json, str(keystore))


@keys.command("fingerprint")
@click.argument("certificate", type=click.Path(path_type=Path, dir_okay=False))
def certificate_fingerprint(certificate: Path) -> None:
    """Print the SHA-256 fingerprint of a TLS certificate.

    The ledger knows a member, and a delivery node its clients, by this fingerprint.

    \b
    Example:
      lianqiao keys fingerprint my-ledger/tls/ops.originator.pem
    """
    from lianqiao_base.tls import fingerprint

    click.echo(fingerprint(read_file(certificate, "certificate")).hex())


def _new_sm2(keystore: Path, name: str) -> list[dict[str, str]]:
    from mainland_chain.crypto.keystore import Keystore

    exists = keystore.exists()
    secret = passphrase_for(keystore, new=not exists)
    opened = Keystore.open(keystore, secret) if exists else Keystore.create(keystore, secret)
    return [_sm2_row(name, opened.generate(name).public_key)]


def _new_account(keystore: Path, name: str) -> list[dict[str, str]]:
    from hk_l2 import keys as accounts

    if name:
        raise click.UsageError("an EVM keystore file holds one account: leave NAME out")
    if keystore.exists():
        raise AlreadyExists(
            "KEYSTORE_EXISTS", "a keystore is already here", subject=str(keystore), hint="choose another file"
        )
    secret = passphrase_for(keystore, new=True)
    if not secret:
        raise Rejected("KEYSTORE_PASSPHRASE_EMPTY", "an empty passphrase protects nothing", subject=str(keystore))
    account = accounts.generate()
    accounts.save(keystore, account, secret)
    return [_account_row(keystore, account.address)]


def _is_account(keystore: Path) -> bool:
    """Web3 Secret Storage has a section `crypto` (upper or lower case); our SM2 keystores have none."""
    if not keystore.exists():
        raise NotFound("KEYSTORE_NOT_FOUND", "no keystore here", subject=str(keystore), hint="lianqiao keys new")
    try:
        document: Any = json.loads(read_file(keystore, "keystore"))
    except ValueError:
        return False  # opening it will say what is wrong
    return isinstance(document, dict) and any(key.lower() == "crypto" for key in document)


def _sm2_row(name: str, public_key: bytes) -> dict[str, str]:
    from mainland_chain.crypto.sm3 import sm3

    return {"name": name, "kind": "sm2", "public_key": public_key.hex(), "fingerprint_sm3": sm3(public_key).hex()}


def _account_row(keystore: Path, address: str) -> dict[str, str]:
    return {"name": keystore.name, "kind": "evm", "address": address}


def _show(rows: list[dict[str, str]], as_json: bool, title: str) -> None:
    if as_json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print(f"{title}: no keys yet")
    for row in rows:
        print_rows(out, row["name"], [(k.replace("_", " "), v) for k, v in row.items() if k != "name"])
