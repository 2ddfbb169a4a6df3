"""SM3, HMAC-SM3, Keccak-256 and SM4-GCM against the published examples."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import keccak, sm3, sm4
from mainland_chain.crypto.errors import SelfTestFailed

IMPLEMENTATIONS = {
    "hashlib": sm3._hashlib_sm3(),
    "cryptography": sm3._cryptography_sm3(),
    "gmssl-pyx": sm3._gmssl_sm3(),
    "chosen": sm3.sm3,
}

# GB/T 32905-2016 annex A, examples 1 and 2; the empty string is the value GmSSL and OpenSSL publish in their tests.
SM3_EXAMPLES = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    (b"", "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"),
]


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize(("message", "digest"), SM3_EXAMPLES)
def test_sm3_examples(name: str, message: bytes, digest: str) -> None:
    function = IMPLEMENTATIONS[name]
    if function is None:
        pytest.skip(f"{name} has no SM3 here")
    assert function(message).hex() == digest


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 2047, 2048, 2049, 10_000])
def test_sm3_implementations_agree_around_their_block_and_switch_sizes(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert len({function(data) for function in IMPLEMENTATIONS.values() if function}) == 1


def test_sm3_does_not_remember_earlier_calls() -> None:
    for function in filter(None, IMPLEMENTATIONS.values()):
        assert function(b"abc") == function(b"abc")


def test_long_messages_go_to_the_implementation_that_releases_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm3, "_short", lambda data: b"short")
    monkeypatch.setattr(sm3, "_long", lambda data: b"long")
    assert (sm3.sm3(bytes(2047)), sm3.sm3(bytes(2048))) == (b"short", b"long")


def test_a_wrong_sm3_is_refused() -> None:
    with pytest.raises(SelfTestFailed) as caught:
        sm3._checked("sha256 in disguise", lambda data: hashlib.sha256(data).digest())
    assert caught.value.code == "CRYPTO_SELF_TEST"
    assert caught.value.data["vector"] == "GB/T 32905-2016 A.1"


def test_every_sm3_that_is_used_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = lambda data: bytes(32)  # noqa: E731
    monkeypatch.setattr(sm3, "_gmssl_sm3", lambda: wrong)
    with pytest.raises(SelfTestFailed):
        sm3._choose()
    monkeypatch.undo()
    monkeypatch.setattr(sm3, "_hashlib_sm3", lambda: wrong)
    with pytest.raises(SelfTestFailed):
        sm3._choose()
    monkeypatch.setattr(sm3, "_gmssl_sm3", lambda: None)
    with pytest.raises(SelfTestFailed):
        sm3._choose()


def test_without_system_sm3_and_gmssl_cryptography_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm3, "_hashlib_sm3", lambda: None)
    monkeypatch.setattr(sm3, "_gmssl_sm3", lambda: None)
    short, long, *names = sm3._choose()
    assert names == ["cryptography", "cryptography"]
    assert short(b"abc") == long(b"abc") == sm3.sm3(b"abc")


# GM/T 0042-2015 annex D (also the HMAC-SM3 example of OpenSSL's and GmSSL's own tests).
HMAC_KEY = bytes(range(1, 33))
HMAC_DATA = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2
HMAC_DIGEST = "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a"


def test_hmac_sm3_example() -> None:
    assert sm3.hmac_sm3(HMAC_KEY, HMAC_DATA).hex() == HMAC_DIGEST
    assert sm3._hmac_by_cryptography(HMAC_KEY, HMAC_DATA).hex() == HMAC_DIGEST


@pytest.mark.parametrize("key_size", [0, 1, 63, 64, 65, 200])
def test_hmac_sm3_is_rfc_2104_with_sm3(key_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key = bytes(range(key_size))
    padded = (sm3.sm3(key) if key_size > 64 else key).ljust(64, b"\0")
    inner = sm3.sm3(bytes(b ^ 0x36 for b in padded) + b"data")
    expected = sm3.sm3(bytes(b ^ 0x5C for b in padded) + inner)
    assert hmac.compare_digest(sm3.hmac_sm3(key, b"data"), expected)
    monkeypatch.setattr(sm3, "LONG_IMPLEMENTATION", "cryptography")
    assert sm3.hmac_sm3(key, b"data") == expected


def test_tag_is_sm3_of_ascii_and_only_ascii() -> None:
    assert sm3.tag("lianqiao.tx.v1") == sm3.sm3(b"lianqiao.tx.v1")
    with pytest.raises(UnicodeEncodeError):
        sm3.tag("链桥")


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        # KEC(()) of the Ethereum Yellow Paper; the ERC-20 Transfer event signature, topic 0 of every token transfer.
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    ],
)
def test_keccak256_is_the_evms(message: bytes, digest: str) -> None:
    assert keccak.keccak256(message).hex() == digest
    assert keccak.keccak256(message) != hashlib.sha3_256(message).digest()


# GB/T 32907-2016 annex A, example 1: the block cipher under the GCM.
def test_sm4_block_example() -> None:
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encryptor = Cipher(algorithms.SM4(block), modes.ECB()).encryptor()  # noqa: S305 - the standard's single block
    assert encryptor.update(block).hex() == "681edf34d206965e86b3e94f536e4246"


# RFC 8998 appendix A.1.
RFC8998_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
RFC8998_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
RFC8998_PLAINTEXT = b"".join(bytes((v,)) * 8 for v in b"\xaa\xbb\xcc\xdd\xee\xff\xee\xaa")
RFC8998_BLOB = bytes.fromhex(
    "00001234567800000000abcd"
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
    "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    "83de3541e4c2b58177e065a9bf7b62ec"
)


def test_sm4_gcm_example_both_ways() -> None:
    assert sm4.encrypt_with_nonce(RFC8998_KEY, RFC8998_BLOB[:12], RFC8998_AAD, RFC8998_PLAINTEXT) == RFC8998_BLOB
    assert sm4.open_sealed(RFC8998_KEY, RFC8998_AAD, RFC8998_BLOB) == RFC8998_PLAINTEXT


def test_sealed_layout_and_fresh_nonces() -> None:
    key = bytes(16)
    blobs = {sm4.seal(key, b"aad", b"secret") for _ in range(64)}
    assert len({blob[:12] for blob in blobs}) == 64
    assert {len(blob) for blob in blobs} == {12 + 6 + 16}
    assert all(sm4.open_sealed(key, b"aad", blob) == b"secret" for blob in blobs)


def _refused(key: bytes, aad: bytes, blob: bytes) -> str:
    with pytest.raises(Rejected) as caught:
        sm4.open_sealed(key, aad, blob)
    return caught.value.code


def test_every_flipped_byte_of_a_sealed_blob_is_refused() -> None:
    for position in range(len(RFC8998_BLOB)):
        blob = bytearray(RFC8998_BLOB)
        blob[position] ^= 1
        assert _refused(RFC8998_KEY, RFC8998_AAD, bytes(blob)) == "SEAL_BROKEN"


@pytest.mark.parametrize("size", [0, 1, 12, 27])
def test_blobs_too_short_to_hold_nonce_and_tag_are_refused(size: int) -> None:
    assert _refused(bytes(16), b"", bytes(size)) == "SEAL_BROKEN"


def test_truncated_extended_and_misbound_blobs_are_refused() -> None:
    for blob in (RFC8998_BLOB[:-1], RFC8998_BLOB[1:], RFC8998_BLOB + b"\0"):
        assert _refused(RFC8998_KEY, RFC8998_AAD, blob) == "SEAL_BROKEN"
    assert _refused(RFC8998_KEY, RFC8998_AAD + b"\0", RFC8998_BLOB) == "SEAL_BROKEN"
    assert _refused(bytes(16), RFC8998_AAD, RFC8998_BLOB) == "SEAL_BROKEN"


@pytest.mark.parametrize("size", [0, 15, 17, 24, 32])
def test_keys_and_nonces_of_other_sizes_are_refused(size: int) -> None:
    assert _refused(bytes(size), b"", RFC8998_BLOB) == "BAD_LENGTH"
    with pytest.raises(Rejected, match="SM4 key"):
        sm4.seal(bytes(size), b"", b"")
    with pytest.raises(Rejected, match="GCM nonce"):
        sm4.encrypt_with_nonce(bytes(16), bytes(size), b"", b"")
