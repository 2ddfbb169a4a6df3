"""Keys of the compliance signers:

local ones from encrypted keystore files; anything that signs a digest fits the protocol.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import coincurve
from eth_account import Account

from compliance.transfer.clearance import address_of
from lianqiao_base.errors import Fatal


class ClearanceSigner(Protocol):
    """Holds one secp256k1 key."""

    @property
    def address(self) -> bytes:
        """20 bytes."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """`r‖s‖v` (65 bytes, low s, v 27 or 28) over a 32-byte digest."""
        ...


class LocalClearanceSigner:
    """A key in this process's memory."""

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != 32:
            raise Fatal("CLEARANCE_KEY", "a private key is 32 bytes")
        try:
            self._key = coincurve.PrivateKey(private_key)
        except ValueError as error:
            raise Fatal("CLEARANCE_KEY", "not a secp256k1 private key") from error
        self._address = address_of(self._key.public_key)

    @classmethod
    def from_keystore(cls, path: Path, passphrase: str) -> LocalClearanceSigner:
        """Read an Ethereum keystore (version 3). Raises `Fatal("CLEARANCE_KEY")` naming the file."""
        try:
            return cls(bytes(Account.decrypt(json.loads(path.read_text("utf-8")), passphrase)))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Fatal(
                "CLEARANCE_KEY", "the keystore cannot be opened", subject=path.name, hint="check file and passphrase"
            ) from error

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self._address

    def sign_digest(self, digest: bytes) -> bytes:
        """`r‖s‖v`, 65 bytes."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])
