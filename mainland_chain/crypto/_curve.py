"""The SM2 curve of GB/T 32918.5-2017 §2, and the checks and hashes that need no provider.

Everything here works on public values only, so nothing needs constant time.
"""

from __future__ import annotations

from functools import lru_cache

from mainland_chain.crypto.errors import BadLength, BadPrivateKey, BadPublicKey
from mainland_chain.crypto.sm3 import sm3

P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A = P - 3
B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
GX = 0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7
GY = 0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0

PUBLIC_KEY_SIZE = 64
PRIVATE_KEY_SIZE = 32
SIGNATURE_SIZE = 64
DIGEST_SIZE = 32

# GM/T 0009-2012 §10: the default user ID. Set explicitly everywhere: OpenSSL before 4.0 would take an empty one.
USER_ID = b"1234567812345678"
_Z_PREFIX = (8 * len(USER_ID)).to_bytes(2, "big") + USER_ID + b"".join(v.to_bytes(32, "big") for v in (A, B, GX, GY))


def is_on_curve(public_key: bytes) -> bool:
    """Is it 64 bytes of coordinates below p that satisfy y^2 = x^3 + ax + b? (GB/T 32918.1-2016 §6.2.1; cofactor 1)."""
    if len(public_key) != PUBLIC_KEY_SIZE:
        return False
    x, y = int.from_bytes(public_key[:32], "big"), int.from_bytes(public_key[32:], "big")
    return x < P and y < P and (y * y - (x * x + A) * x - B) % P == 0


def check_public_key(public_key: bytes) -> None:
    """Raises `BadPublicKey` unless `public_key` is `X || Y` of a point on the curve."""
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise BadPublicKey(f"an SM2 public key is {PUBLIC_KEY_SIZE} bytes, not {len(public_key)}")
    if not is_on_curve(public_key):
        raise BadPublicKey("the point is not on the SM2 curve")


def check_private_key(private_key: bytes) -> None:
    """Raises `BadPrivateKey` unless it is 32 bytes of d in 1..n-2 (n-1 has no inverse of 1+d; GB/T 32918.1 §6.1)."""
    if len(private_key) != PRIVATE_KEY_SIZE:
        raise BadPrivateKey(f"{PRIVATE_KEY_SIZE} bytes expected, not {len(private_key)}")
    if not 1 <= int.from_bytes(private_key, "big") <= N - 2:
        raise BadPrivateKey("out of range")


def check_digest(e: bytes) -> None:
    """Raises `BadLength` unless `e` is 32 bytes."""
    if len(e) != DIGEST_SIZE:
        raise BadLength("SM2 digest e", DIGEST_SIZE, len(e))


def signature_is_well_formed(signature: bytes) -> bool:
    """64 bytes with r and s in 1..n-1 and r+s not n (GB/T 32918.2-2016 §7.1, steps B1, B2 and B5)."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return 0 < r < N and 0 < s < N and r + s != N


@lru_cache(maxsize=4096)
def user_hash(public_key: bytes) -> bytes:
    """Z = SM3(ENTL || ID || a || b || xG || yG || xA || yA), 32 bytes (GB/T 32918.2-2016 §5.5).

    Raises `BadPublicKey`.
    """
    check_public_key(public_key)
    return sm3(_Z_PREFIX + public_key)


def digest(public_key: bytes, message: bytes) -> bytes:
    """e = SM3(Z || M), 32 bytes (GB/T 32918.2-2016 §6.1 steps A1, A2). Raises `BadPublicKey`."""
    return sm3(user_hash(public_key) + message)
