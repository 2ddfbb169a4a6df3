"""SM2 by the system's OpenSSL 3 through ctypes. Foreign calls release the GIL, so verification scales over threads.

Only the operations over a given digest e are used: Z is computed by us, because OpenSSL before 4.0 takes an empty
user ID.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from mainland_chain.crypto._der import decode_signature, encode_signature
from mainland_chain.crypto._provider import PrivateHandle, ProviderUnavailable, PublicHandle
from mainland_chain.crypto._vectors import SM2
from mainland_chain.crypto.errors import SigningFailed, VerificationUnavailable

NAME = "openssl"
LIBRARIES = ("libcrypto.so.3", "libcrypto.3.dylib")

# SubjectPublicKeyInfo {ecPublicKey, sm2 curve 1.2.156.10197.1.301} up to the uncompressed point's 0x04 (RFC 5480 §2).
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
# ECPrivateKey {1, d, [0] sm2 curve} around the 32 bytes of d (RFC 5915 §3).
_EC_PRIVATE = (bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a811ccf5501822d"))
_BUFFER = 80  # a DER signature has at most 72 bytes, an encoded point 65

_Pointer = ctypes.c_void_p
_Bytes = ctypes.c_char_p
_Size = ctypes.c_size_t


class _Library:
    """The few functions of libcrypto we call, with their C types."""

    def __init__(self, library: ctypes.CDLL) -> None:
        def function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
            entry = getattr(library, name)
            entry.restype, entry.argtypes = result, arguments
            return entry  # type: ignore[no-any-return]

        out = ctypes.POINTER(_Size)
        data = ctypes.POINTER(_Bytes)
        self.parse_public = function("d2i_PUBKEY", _Pointer, _Pointer, data, ctypes.c_long)
        self.parse_private = function("d2i_AutoPrivateKey", _Pointer, _Pointer, data, ctypes.c_long)
        self.free_key = function("EVP_PKEY_free", None, _Pointer)
        self.new_context = function("EVP_PKEY_CTX_new", _Pointer, _Pointer, _Pointer)
        self.free_context = function("EVP_PKEY_CTX_free", None, _Pointer)
        self.clear_errors = function("ERR_clear_error", None)
        self.sign_init = function("EVP_PKEY_sign_init", ctypes.c_int, _Pointer)
        self.sign = function("EVP_PKEY_sign", ctypes.c_int, _Pointer, _Bytes, out, _Bytes, _Size)
        self.verify_init = function("EVP_PKEY_verify_init", ctypes.c_int, _Pointer)
        self.verify = function("EVP_PKEY_verify", ctypes.c_int, _Pointer, _Bytes, _Size, _Bytes, _Size)
        self.get_octets = function(
            "EVP_PKEY_get_octet_string_param", ctypes.c_int, _Pointer, _Bytes, _Bytes, _Size, out
        )


class _Key:
    """Owns one EVP_PKEY. It is immutable after loading, so threads may share it; each operation has its own context."""

    __slots__ = ("_library", "_pkey")

    def __init__(self, library: _Library, parse: Callable[..., Any], der: bytes) -> None:
        self._library = library
        self._pkey = parse(None, ctypes.byref(_Bytes(der)), len(der))
        library.clear_errors()
        if not self._pkey:
            raise ValueError("OpenSSL refuses the key")

    def __del__(self) -> None:
        if getattr(self, "_pkey", None):
            self._library.free_key(self._pkey)


class _Public(_Key):
    __slots__ = ()

    def __init__(self, library: _Library, public_key: bytes) -> None:
        super().__init__(library, library.parse_public, _SPKI + public_key)

    def verify_digest(self, e: bytes, signature: bytes) -> bool:
        library, der = self._library, encode_signature(signature)
        context = library.new_context(self._pkey, None)
        try:
            if not context or library.verify_init(context) != 1:
                raise VerificationUnavailable(NAME)
            accepted: bool = library.verify(context, der, len(der), e, len(e)) == 1
            return accepted
        finally:
            library.free_context(context)
            library.clear_errors()


class _Private(_Key):
    __slots__ = ("public_key",)

    public_key: bytes

    def __init__(self, library: _Library, private_key: bytes) -> None:
        super().__init__(library, library.parse_private, _EC_PRIVATE[0] + private_key + _EC_PRIVATE[1])
        buffer, size = ctypes.create_string_buffer(_BUFFER), _Size()
        found = library.get_octets(self._pkey, b"encoded-pub-key", buffer, _BUFFER, ctypes.byref(size))
        library.clear_errors()
        if found != 1 or size.value != 65 or buffer.raw[0] != 4:
            raise ValueError("OpenSSL gives no uncompressed public point")
        self.public_key = buffer.raw[1:65]

    def sign_digest(self, e: bytes) -> bytes:
        library = self._library
        buffer, size = ctypes.create_string_buffer(_BUFFER), _Size(_BUFFER)
        context = library.new_context(self._pkey, None)
        try:
            if (
                not context
                or library.sign_init(context) != 1
                or library.sign(context, buffer, ctypes.byref(size), e, len(e)) != 1
            ):
                raise SigningFailed(NAME)
        finally:
            library.free_context(context)
            library.clear_errors()
        return decode_signature(buffer.raw[: size.value])


class OpenSslProvider:
    """Provider over one loaded libcrypto."""

    name = NAME

    def __init__(self, library: ctypes.CDLL) -> None:
        try:
            self._library = _Library(library)
        except AttributeError as error:
            raise ProviderUnavailable("libcrypto lacks a function of OpenSSL 3.0") from error
        try:
            _Public(self._library, SM2.public_key)
        except ValueError as error:  # some distributions build OpenSSL without SM2
            raise ProviderUnavailable("libcrypto was built without SM2") from error

    def load_public(self, public_key: bytes) -> PublicHandle:
        return _Public(self._library, public_key)

    def load_private(self, private_key: bytes) -> PrivateHandle:
        return _Private(self._library, private_key)


def load() -> OpenSslProvider:
    """Raises `ProviderUnavailable` when the machine has no OpenSSL 3 with SM2."""
    for name in LIBRARIES:
        try:
            return OpenSslProvider(ctypes.CDLL(name))
        except OSError:
            continue
    raise ProviderUnavailable("no OpenSSL 3 libcrypto on this machine")
