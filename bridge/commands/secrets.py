"""Passphrases and other secrets: from files that only their owner may read, or asked for; never from the command line."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from lianqiao_base.errors import Rejected
from lianqiao_base.passphrase import PASSPHRASE_FILE_VARIABLE, read_passphrase

BESIDE = "passphrase"
"""Name of the passphrase file that a development home keeps beside its keystores."""


def passphrase_for(keystore: Path, *, new: bool = False) -> str:
    """From the file that LIANQIAO_PASSPHRASE_FILE names, else from `passphrase` beside the keystore, else asked for unseen.

    Raises `Fatal("PASSPHRASE_FILE")`, and `Rejected("PASSPHRASE_NEEDED")` where nobody can be asked.
    """
    named = os.environ.get(PASSPHRASE_FILE_VARIABLE)
    if named:
        return read_passphrase(Path(named))
    beside = keystore.parent / BESIDE
    if beside.exists():
        return read_passphrase(beside)
    if not sys.stdin.isatty():
        raise Rejected(
            "PASSPHRASE_NEEDED",
            "no passphrase, and nobody to ask",
            subject=str(keystore),
            hint=f"set {PASSPHRASE_FILE_VARIABLE} to a file that only you may read (chmod 600)",
        )
    answer: str = click.prompt(f"Passphrase of {keystore}", hide_input=True, confirmation_prompt=new, err=True)
    return answer


def write_secret(path: Path, text: str) -> None:
    """A new file, mode 0600 from its first moment. Raises `Rejected("FILE_EXISTS")`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Rejected("FILE_EXISTS", "it is there already", subject=str(path), hint="choose another path") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def sealing_key(path: Path) -> bytes:
    """A member's 16-byte SM4 key for fields of grade high; made when there is none.

    Whoever loses it can never open those fields again. Raises `Fatal("PASSPHRASE_FILE")`, `Rejected("SEALING_KEY")`.
    """
    if not path.exists():
        key = secrets.token_bytes(16)
        write_secret(path, key.hex())
        click.echo(f"a new sealing key is in {path}: keep it, without it the sealed fields are lost", err=True)
        return key
    try:
        key = bytes.fromhex(read_passphrase(path))
    except ValueError:
        key = b""
    if len(key) != 16:
        raise Rejected("SEALING_KEY", "not 16 bytes in hex", subject=str(path))
    return key
