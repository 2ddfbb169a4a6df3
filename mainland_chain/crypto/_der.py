"""ECDSA-Sig-Value DER (X.690, GM/T 0009-2012 §7.3) at the edge to libraries; our own formats carry raw `r || s`."""

from __future__ import annotations


def _integer(value: bytes) -> bytes:
    body = value.lstrip(b"\0") or b"\0"
    if body[0] > 0x7F:
        body = b"\0" + body
    return bytes((2, len(body))) + body


def encode_signature(signature: bytes) -> bytes:
    """DER SEQUENCE of the two INTEGERs of a 64-byte `r || s`."""
    body = _integer(signature[:32]) + _integer(signature[32:])
    return bytes((0x30, len(body))) + body


def decode_signature(der: bytes) -> bytes:
    """64-byte `r || s` of a DER signature. Raises `ValueError` for anything but the one DER form of it."""
    parts: list[bytes] = []
    rest = der[2:]
    for _ in range(2):
        if len(rest) < 2:
            raise ValueError("not a DER signature")
        value, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        parts.append(value.lstrip(b"\0").rjust(32, b"\0"))
    raw = b"".join(parts)
    # Read leniently, then compare with the one encoding of what was read: tags, lengths and padding are all in that.
    if len(raw) != 64 or encode_signature(raw) != der:
        raise ValueError("not the canonical DER form of a signature")
    return raw
