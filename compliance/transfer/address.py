"""EVM addresses as 20 bytes inside, as text at the edge."""

from __future__ import annotations

import re

from eth_hash.auto import keccak

from lianqiao_base.errors import Rejected

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def parse_address(text: str) -> bytes:
    """20 bytes of `0x…`. A spelling in mixed case must carry the EIP-55 checksum. Raises `Rejected("BAD_ADDRESS")`."""
    if not _ADDRESS.fullmatch(text):
        raise Rejected("BAD_ADDRESS", "an address is 0x and 40 hexadecimal digits")
    digits = text[2:]
    address = bytes.fromhex(digits)
    if digits not in {digits.lower(), digits.upper()} and checksum_address(address) != text:
        raise Rejected("BAD_ADDRESS", "the address fails its EIP-55 checksum", hint="check for a mistyped character")
    return address


def checksum_address(address: bytes) -> str:
    """EIP-55 spelling of 20 bytes."""
    digits = address.hex()
    nibbles = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(c.upper() if int(n, 16) >= 8 else c for c, n in zip(digits, nibbles[:40], strict=True))
