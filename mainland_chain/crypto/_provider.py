"""What an SM2 implementation must offer. Callers have already checked lengths, ranges and the curve equation."""

from __future__ import annotations

from typing import Protocol


class ProviderUnavailable(Exception):
    """The library is not on this machine, or was built without SM2."""


class PublicHandle(Protocol):
    """A parsed public key, usable from several threads at once."""

    def verify_digest(self, e: bytes, signature: bytes) -> bool: ...


class PrivateHandle(Protocol):
    """A parsed private key, usable from several threads at once."""

    @property
    def public_key(self) -> bytes: ...

    def sign_digest(self, e: bytes) -> bytes: ...


class Provider(Protocol):
    """An SM2 implementation. Key loaders raise `ValueError` for a key the library refuses."""

    @property
    def name(self) -> str: ...

    def load_public(self, public_key: bytes) -> PublicHandle: ...

    def load_private(self, private_key: bytes) -> PrivateHandle: ...
