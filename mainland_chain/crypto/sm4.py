"""SM4-GCM (GB/T 32907-2016; GCM as in GB/T 36624-2018, RFC 8998): sealed blobs `nonce_12 || ciphertext || tag_16`."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mainland_chain.crypto.errors import BadLength, OpenFailed

KEY_SIZE = 16
NONCE_SIZE = 12
TAG_SIZE = 16
OVERHEAD = NONCE_SIZE + TAG_SIZE


def _check_key(key: bytes) -> None:
    if len(key) != KEY_SIZE:
        raise BadLength("SM4 key", KEY_SIZE, len(key))


def encrypt_with_nonce(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    """`nonce || ciphertext || tag` for a given 12-byte nonce; for known answers and derivations that never repeat one.

    Repeating a nonce under one key reveals the authentication key: use `seal` unless a standard fixes the nonce.
    Raises `BadLength`.
    """
    _check_key(key)
    if len(nonce) != NONCE_SIZE:
        raise BadLength("GCM nonce", NONCE_SIZE, len(nonce))
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(aad)
    return nonce + encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def seal(key: bytes, aad: bytes, plaintext: bytes) -> bytes:
    """Encrypt and authenticate `plaintext`, and authenticate `aad`, under a 16-byte key with a fresh random nonce.

    Returns `nonce_12 || ciphertext || tag_16` (28 bytes longer than the plaintext). At most 2^32 blobs per key keep the
    chance of a repeated nonce negligible (NIST SP 800-38D §8.3). Raises `BadLength` for another key size.
    """
    return encrypt_with_nonce(key, secrets.token_bytes(NONCE_SIZE), aad, plaintext)


def open_sealed(key: bytes, aad: bytes, blob: bytes) -> bytes:
    """Plaintext of a blob made by `seal` with the same key and `aad`.

    Raises `BadLength` for another key size and `OpenFailed` (`SEAL_BROKEN`) for anything not authentic.
    """
    _check_key(key)
    if len(blob) < OVERHEAD:
        raise OpenFailed(f"a sealed blob has at least {OVERHEAD} bytes")
    nonce, ciphertext, tag = blob[:NONCE_SIZE], blob[NONCE_SIZE:-TAG_SIZE], blob[-TAG_SIZE:]
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(aad)
    try:
        return decryptor.update(ciphertext) + decryptor.finalize()
    except InvalidTag as error:
        raise OpenFailed("the authentication tag does not match") from error
