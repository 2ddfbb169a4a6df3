"""SM2 signatures (GB/T 32918.2-2016; curve of GB/T 32918.5-2017; user ID of GM/T 0009-2012).

Public keys are 64 bytes `X || Y`, private keys 32 bytes, signatures 64 bytes `r || s`, all big-endian, never DER.
Signatures use random nonces: two signatures of one message differ, so never identify anything by its signature.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import NoReturn

from mainland_chain.crypto import _curve, _selection, selftest, sm3
from mainland_chain.crypto._curve import PRIVATE_KEY_SIZE, PUBLIC_KEY_SIZE, SIGNATURE_SIZE, USER_ID, digest
from mainland_chain.crypto.errors import BadPrivateKey, BadPublicKey

__all__ = [
    "PRIVATE_KEY_SIZE",
    "PUBLIC_KEY_SIZE",
    "SIGNATURE_SIZE",
    "USER_ID",
    "PrivateKey",
    "Verifier",
    "digest",
    "public_key_is_valid",
    "start",
    "verifier",
    "verify",
]


def start() -> selftest.Report:
    """Choose the provider and run every start-up test now rather than at first use. Idempotent.

    Raises the `Fatal` errors `NoProvider` and `SelfTestFailed`.
    """
    return selftest.Report(
        sm2=_selection.provider().name, sm3_short=sm3.SHORT_IMPLEMENTATION, sm3_long=sm3.LONG_IMPLEMENTATION
    )


def public_key_is_valid(public_key: bytes) -> bool:
    """Is it 64 bytes `X || Y` of a point on the SM2 curve? (GB/T 32918.1-2016 §6.2.1)"""
    return _curve.is_on_curve(public_key)


class PrivateKey:
    """An SM2 private key in this process's memory; a `Signer`.

    Python cannot erase immutable memory: where that matters, put an HSM behind `Signer` instead. Thread-safe.
    """

    __slots__ = ("__weakref__", "_handle", "_secret")

    def __init__(self, d: bytes) -> None:
        _curve.check_private_key(d)
        try:
            self._handle = _selection.provider().load_private(d)
        except ValueError:
            raise BadPrivateKey("the provider refuses it") from None
        self._secret = bytes(d)

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key: d uniform in 1..n-2 from the operating system's generator (GB/T 32918.1-2016 §6.1)."""
        return cls((secrets.randbelow(_curve.N - 2) + 1).to_bytes(PRIVATE_KEY_SIZE, "big"))

    @classmethod
    def from_bytes(cls, d: bytes) -> PrivateKey:
        """The key of 32 big-endian bytes d in 1..n-2. Raises `BadPrivateKey`."""
        return cls(d)

    @property
    def public_key(self) -> bytes:
        """`X || Y`, 64 bytes."""
        return self._handle.public_key

    def to_bytes(self) -> bytes:
        """The secret d, 32 bytes. For the keystore; never log it."""
        return self._secret

    def sign(self, message: bytes) -> bytes:
        """`r || s`, 64 bytes, over e = SM3(Z || message). Raises the `Fatal` `SigningFailed`."""
        return self._handle.sign_digest(digest(self.public_key, message))

    def sign_digest(self, e: bytes) -> bytes:
        """`r || s`, 64 bytes, over a 32-byte e. Raises `BadLength` and the `Fatal` `SigningFailed`."""
        _curve.check_digest(e)
        return self._handle.sign_digest(e)

    def __repr__(self) -> str:
        return f"PrivateKey(public_key={self.public_key.hex()})"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("an SM2 private key is not pickled or copied: keep it in the keystore")


class Verifier:
    """Verifies signatures of one public key; holds the parsed key and Z, so it is the fast path. Thread-safe."""

    __slots__ = ("__weakref__", "_handle", "_z", "public_key")

    public_key: bytes

    def __init__(self, public_key: bytes) -> None:
        self._z = _curve.user_hash(public_key)
        try:
            self._handle = _selection.provider().load_public(public_key)
        except ValueError:
            raise BadPublicKey("the provider refuses it") from None
        self.public_key = public_key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Is `signature` (64 bytes `r || s`) this key's over `message`? False for any malformed signature."""
        return _curve.signature_is_well_formed(signature) and self._handle.verify_digest(
            sm3.sm3(self._z + message), signature
        )

    def verify_digest(self, e: bytes, signature: bytes) -> bool:
        """The same over a 32-byte e. Raises `BadLength` for another size of e."""
        _curve.check_digest(e)
        return _curve.signature_is_well_formed(signature) and self._handle.verify_digest(e, signature)

    def __repr__(self) -> str:
        return f"Verifier(public_key={self.public_key.hex()})"


@lru_cache(maxsize=4096)
def verifier(public_key: bytes) -> Verifier:
    """The `Verifier` of a key, cached for the 4096 most recently used keys. Raises `BadPublicKey`."""
    return Verifier(public_key)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Is `signature` (64 bytes `r || s`) that of `public_key` over `message`?

    False for any malformed signature; raises `BadPublicKey` (`BAD_PUBLIC_KEY`) for a key of the wrong length or off
    the curve.
    """
    return verifier(public_key).verify(message, signature)
