"""Private keys of EVM accounts: encrypted keystore files (Web3 Secret Storage), mode 0600. Never logged, never printed."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from lianqiao_base.errors import NotFound, Rejected


def generate() -> LocalAccount:
    """A new account."""
    return from_private_key(secrets.token_bytes(32))


def from_private_key(private_key: bytes) -> LocalAccount:
    """The account of a private key."""
    account: LocalAccount = Account.from_key(private_key)
    return account


def save(path: Path, account: LocalAccount, passphrase: str, *, iterations: int | None = None) -> None:
    """Writes a new keystore file; refuses to overwrite one. `iterations` lowers the cost in tests."""
    document = Account.encrypt(account.key, passphrase, iterations=iterations)
    # Created with its final mode: there is no moment at which others could read it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)


def load(path: Path, passphrase: str) -> LocalAccount:
    """Reads a keystore file."""
    try:
        contents = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound("KEYSTORE_NOT_FOUND", "no keystore file", subject=str(path)) from error
    try:
        key = Account.decrypt(contents.decode("utf-8"), passphrase)
    except (ValueError, KeyError, TypeError) as error:
        # The library's message may quote what it read; ours does not.
        raise Rejected("KEYSTORE_UNREADABLE", "wrong passphrase or damaged file", subject=str(path)) from error
    return from_private_key(bytes(key))
