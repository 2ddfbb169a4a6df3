"""Known-answer tests at start-up: an implementation that gets one wrong is never used."""

from __future__ import annotations

from dataclasses import dataclass

from mainland_chain.crypto import _curve, _vectors, keccak, sm3, sm4
from mainland_chain.crypto._provider import Provider
from mainland_chain.crypto.errors import SelfTestFailed


@dataclass(frozen=True, slots=True)
class Report:
    """Which implementations passed. For logs and `doctor`-like commands."""

    sm2: str
    sm3_short: str
    sm3_long: str


def check_hashes_and_cipher() -> None:
    """SM3 (GB/T 32905), Keccak-256 and SM4-GCM (RFC 8998 A.1) against their vectors. Raises `SelfTestFailed`."""
    for vector in _vectors.SM3:
        if sm3.sm3(vector.message) != vector.digest:
            raise SelfTestFailed(sm3.SHORT_IMPLEMENTATION, vector.source)
    for vector in _vectors.KECCAK256:
        if keccak.keccak256(vector.message) != vector.digest:
            raise SelfTestFailed("safe-pysha3", vector.source)
    gcm = _vectors.SM4_GCM
    blob = gcm.nonce + gcm.ciphertext + gcm.tag
    if sm4.encrypt_with_nonce(gcm.key, gcm.nonce, gcm.aad, gcm.plaintext) != blob:
        raise SelfTestFailed("SM4-GCM", gcm.source)
    if sm4.open_sealed(gcm.key, gcm.aad, blob) != gcm.plaintext:
        raise SelfTestFailed("SM4-GCM", gcm.source)


def check_sm2(provider: Provider) -> None:
    """GB/T 32918.5-2017 A.2: Z, e, the public key of d, verification, refusal and a signing round trip.

    Raises `SelfTestFailed`.
    """
    vector = _vectors.SM2
    if _curve.digest(vector.public_key, vector.message) != vector.e:
        raise SelfTestFailed("SM3", f"{vector.source}, Z and e")
    try:
        private, public = provider.load_private(vector.private_key), provider.load_public(vector.public_key)
        if private.public_key != vector.public_key:
            raise SelfTestFailed(provider.name, f"{vector.source}, public key")
        if not public.verify_digest(vector.e, vector.signature):
            raise SelfTestFailed(provider.name, f"{vector.source}, verification")
        # The published signature with the last bit of s flipped, and the same over another digest: both must fail.
        if public.verify_digest(vector.e, vector.signature[:-1] + bytes((vector.signature[-1] ^ 1,))):
            raise SelfTestFailed(provider.name, f"{vector.source}, a changed signature")
        if public.verify_digest(vector.z, vector.signature):
            raise SelfTestFailed(provider.name, f"{vector.source}, another digest")
        first, second = private.sign_digest(vector.e), private.sign_digest(vector.e)
        if not all(_curve.signature_is_well_formed(s) and public.verify_digest(vector.e, s) for s in (first, second)):
            raise SelfTestFailed(provider.name, f"{vector.source}, signing")
        if first[:32] == second[:32]:  # equal r means an equal nonce, which reveals the key
            raise SelfTestFailed(provider.name, f"{vector.source}, fresh nonces")
    except ValueError as error:
        raise SelfTestFailed(provider.name, f"{vector.source}, keys") from error
