"""Typed errors of the cryptographic layer. None of them ever carries a secret in its message or data."""

from __future__ import annotations

from lianqiao_base.errors import AlreadyExists, Fatal, NotFound, Rejected, Retryable


class BadPublicKey(Rejected):
    """Not 64 bytes `X || Y` of a point on the SM2 curve (code `BAD_PUBLIC_KEY`)."""

    def __init__(self, message: str) -> None:
        super().__init__("BAD_PUBLIC_KEY", message, hint="send the 64-byte X||Y form of a point on the SM2 curve")


class BadPrivateKey(Rejected):
    """Not 32 bytes of an integer in 1..n-2 (code `BAD_PRIVATE_KEY`)."""

    def __init__(self, message: str) -> None:
        super().__init__("BAD_PRIVATE_KEY", message, hint="an SM2 private key is 32 big-endian bytes in 1..n-2")


class BadLength(Rejected):
    """An input of fixed size has another size (code `BAD_LENGTH`)."""

    def __init__(self, what: str, expected: int, actual: int) -> None:
        super().__init__("BAD_LENGTH", f"{what} must be {expected} bytes, not {actual}", subject=what)


class OpenFailed(Rejected):
    """An SM4-GCM blob is not authentic under this key and associated data (code `SEAL_BROKEN`)."""

    def __init__(self, message: str) -> None:
        super().__init__("SEAL_BROKEN", message, hint="the key, the associated data or the blob is not the sealed one")


class SelfTestFailed(Fatal):
    """A cryptographic implementation gave a wrong answer to a standard vector (code `CRYPTO_SELF_TEST`)."""

    def __init__(self, implementation: str, vector: str) -> None:
        super().__init__(
            "CRYPTO_SELF_TEST",
            f"{implementation} gives a wrong answer to {vector}",
            subject=implementation,
            hint="do not use this build; reinstall the library",
            data={"implementation": implementation, "vector": vector},
        )


class NoProvider(Fatal):
    """No usable SM2 implementation (codes `SM2_PROVIDER_UNAVAILABLE`, `SM2_PROVIDER_UNKNOWN`)."""


class SigningFailed(Fatal):
    """The provider could not sign with a key it had accepted (code `SM2_SIGN_FAILED`)."""

    def __init__(self, provider: str) -> None:
        super().__init__("SM2_SIGN_FAILED", f"{provider} could not sign", subject=provider, hint="check the library")


class VerificationUnavailable(Fatal):
    """The provider could not even begin a verification, e.g. out of memory (code `SM2_VERIFY_FAILED`).

    Never reported as "signature invalid": validators that disagree for want of memory would fork.
    """

    def __init__(self, provider: str) -> None:
        super().__init__("SM2_VERIFY_FAILED", f"{provider} could not run", subject=provider, hint="check memory")


class WrongPassphrase(Rejected):
    """The keystore does not open with this passphrase (code `KEYSTORE_PASSPHRASE`)."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            "KEYSTORE_PASSPHRASE", "the passphrase does not open this keystore", subject=subject, hint="check it"
        )


class KeystoreUnsafe(Rejected):
    """Others than the owner could read the keystore file, or it is not a regular file (code `KEYSTORE_MODE`)."""

    def __init__(self, subject: str, message: str) -> None:
        super().__init__("KEYSTORE_MODE", message, subject=subject, hint="chmod 600 it, and change keys that leaked")


class KeystoreCorrupted(Rejected):
    """The keystore file, or an entry of it, is not what was written (code `KEYSTORE_CORRUPTED`)."""

    def __init__(self, subject: str, message: str) -> None:
        super().__init__("KEYSTORE_CORRUPTED", message, subject=subject, hint="restore it from a backup")


class KeystoreWeakPassphrase(Rejected):
    """An empty passphrase (code `KEYSTORE_PASSPHRASE_EMPTY`)."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            "KEYSTORE_PASSPHRASE_EMPTY", "an empty passphrase protects nothing", subject=subject, hint="choose one"
        )


class KeystoreChanged(Retryable):
    """Another process changed the keystore since it was opened (code `KEYSTORE_CHANGED`)."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            "KEYSTORE_CHANGED", "another process changed the keystore", subject=subject, hint="open it again and retry"
        )


class KeystoreMissing(NotFound):
    """There is no keystore file at this path (code `KEYSTORE_NOT_FOUND`)."""

    def __init__(self, subject: str) -> None:
        super().__init__("KEYSTORE_NOT_FOUND", "no keystore here", subject=subject, hint="create it first")


class KeystoreExists(AlreadyExists):
    """A keystore file is already there and is never overwritten (code `KEYSTORE_EXISTS`)."""

    def __init__(self, subject: str) -> None:
        super().__init__("KEYSTORE_EXISTS", "a keystore is already here", subject=subject, hint="open it instead")


class BadKeyName(Rejected):
    """A key name outside `[a-z0-9._-]{1,64}` (code `KEY_NAME`)."""

    def __init__(self, name: str) -> None:
        super().__init__("KEY_NAME", "key names are 1 to 64 of a-z 0-9 . _ -", subject=name[:80], hint="choose another")


class KeyNotFound(NotFound):
    """The keystore holds no key of this name (code `KEY_NOT_FOUND`)."""

    def __init__(self, name: str) -> None:
        super().__init__("KEY_NOT_FOUND", "no key of this name", subject=name, hint="list the names")


class KeyExists(AlreadyExists):
    """The keystore already holds a key of this name (code `KEY_EXISTS`)."""

    def __init__(self, name: str) -> None:
        super().__init__("KEY_EXISTS", "a key of this name exists", subject=name, hint="choose another name")
