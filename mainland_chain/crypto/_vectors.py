"""Known answers of the standards, which every implementation must give before it is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HashVector:
    source: str
    message: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Sm2Vector:
    source: str
    private_key: bytes
    public_key: bytes
    message: bytes
    z: bytes
    e: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Sm4GcmVector:
    source: str
    key: bytes
    nonce: bytes
    aad: bytes
    plaintext: bytes
    ciphertext: bytes
    tag: bytes


# GB/T 32905-2016 annex A: examples 1 and 2.
SM3 = (
    HashVector(
        "GB/T 32905-2016 A.1",
        b"abc",
        bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    ),
    HashVector(
        "GB/T 32905-2016 A.2",
        b"abcd" * 16,
        bytes.fromhex("debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ),
)

# The empty string's hash is in the Yellow Paper (KEC of the empty code); "abc" is the Keccak team's.
KECCAK256 = (
    HashVector(
        "Ethereum Yellow Paper, KEC(())",
        b"",
        bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    ),
    HashVector(
        "Keccak-256('abc')",
        b"abc",
        bytes.fromhex("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ),
)

# GB/T 32918.5-2017 (GM/T 0003.5-2012) annex A.2: signature over the recommended curve, ID 1234567812345678.
SM2 = Sm2Vector(
    source="GB/T 32918.5-2017 A.2",
    private_key=bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"),
    public_key=bytes.fromhex(
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    ),
    message=b"message digest",
    z=bytes.fromhex("b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"),
    e=bytes.fromhex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"),
    signature=bytes.fromhex(
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    ),
)

# RFC 8998 appendix A.1.
SM4_GCM = Sm4GcmVector(
    source="RFC 8998 A.1",
    key=bytes.fromhex("0123456789abcdeffedcba9876543210"),
    nonce=bytes.fromhex("00001234567800000000abcd"),
    aad=bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    plaintext=bytes.fromhex(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
        "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
    ),
    ciphertext=bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    ),
    tag=bytes.fromhex("83de3541e4c2b58177e065a9bf7b62ec"),
)
