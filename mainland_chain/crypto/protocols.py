"""What a holder and a checker of SM2 keys look like to the rest of the system; a key file and an HSM both fit.

An HSM with the SDF interface (GM/T 0018-2012, `SDF_InternalSign_ECC`) signs a digest: so Z and e are computed outside.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mainland_chain.crypto import _curve


@runtime_checkable
class Signer(Protocol):
    """Holds one SM2 key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """`X || Y`, 64 bytes."""
        ...

    def sign_digest(self, e: bytes) -> bytes:
        """`r || s`, 64 bytes, over the 32-byte e."""
        ...


@runtime_checkable
class SignatureVerifier(Protocol):
    """Checks signatures of one SM2 key."""

    @property
    def public_key(self) -> bytes:
        """`X || Y`, 64 bytes."""
        ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Is `signature` valid over SM3(Z || message)? False for a malformed one."""
        ...

    def verify_digest(self, e: bytes, signature: bytes) -> bool:
        """Is `signature` valid over the 32-byte e? False for a malformed one."""
        ...


def sign(signer: Signer, message: bytes) -> bytes:
    """`r || s`, 64 bytes, of any signer over e = SM3(Z || message) (GB/T 32918.2-2016 §6.1). Raises `BadPublicKey`."""
    return signer.sign_digest(_curve.digest(signer.public_key, message))
