"""SM2 by gmssl-pyx (GmSSL's C library): an implementation independent of OpenSSL. It holds the GIL.

Only its functions over a digest are used: `sm2_sign` would prepare 32 nonces for each call.
"""

from __future__ import annotations

from typing import Any

from mainland_chain.crypto import _recover
from mainland_chain.crypto._der import decode_signature, encode_signature
from mainland_chain.crypto._provider import PrivateHandle, ProviderUnavailable, PublicHandle
from mainland_chain.crypto.errors import SigningFailed

NAME = "gmssl-pyx"


class _Public:
    __slots__ = ("_library", "_public_key")

    def __init__(self, library: Any, public_key: bytes) -> None:
        try:
            self._public_key: bytes = library.normalize_sm2_public_key(public_key)
        except library.GmsslInnerError as error:
            raise ValueError("GmSSL refuses the key") from error
        self._library = library

    def verify_digest(self, e: bytes, signature: bytes) -> bool:
        accepted: bool = self._library.sm2_verify_sm3_digest(self._public_key, e, encode_signature(signature))
        return accepted


class _Private:
    __slots__ = ("_library", "_secret", "public_key")

    def __init__(self, library: Any, private_key: bytes) -> None:
        self._library = library
        self._secret = private_key
        # GmSSL's binding has no d -> dG. The point follows from public values, two signatures, so no arithmetic
        # of ours (which is not constant-time) ever touches the secret.
        self.public_key: bytes = _recover.public_key(self.sign_digest)

    def sign_digest(self, e: bytes) -> bytes:
        try:
            return decode_signature(self._library.sm2_sign_sm3_digest(self._secret, e))
        except self._library.GmsslInnerError:
            # No chaining: an exception of the library could hold its arguments.
            raise SigningFailed(NAME) from None


class GmSslProvider:
    """Provider over the gmssl_pyx module."""

    name = NAME

    def __init__(self, library: Any) -> None:
        self._library = library

    def load_public(self, public_key: bytes) -> PublicHandle:
        return _Public(self._library, public_key)

    def load_private(self, private_key: bytes) -> PrivateHandle:
        return _Private(self._library, private_key)


def load() -> GmSslProvider:
    """Raises `ProviderUnavailable` when gmssl-pyx has no build for this machine."""
    try:
        import gmssl_pyx
    except ImportError as error:
        raise ProviderUnavailable("gmssl-pyx is not installed") from error
    return GmSslProvider(gmssl_pyx)
