"""SM2, SM4 and the DER edge under arbitrary input."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mainland_chain.crypto import _curve, _der, _selection, sm2, sm3, sm4
from mainland_chain.crypto.errors import OpenFailed

SCALAR = st.integers(1, _curve.N - 2).map(lambda d: d.to_bytes(32, "big"))
PROVIDERS = [_selection.select(_selection.LOADERS, name) for name in _selection.LOADERS]
KEY = sm2.PrivateKey.from_bytes((7).to_bytes(32, "big"))


@given(SCALAR, st.binary(max_size=300))
@settings(deadline=None, max_examples=40)
def test_every_provider_signs_what_every_provider_accepts(d: bytes, message: bytes) -> None:
    keys = [provider.load_private(d) for provider in PROVIDERS]
    assert len({key.public_key for key in keys}) == 1
    assert sm2.public_key_is_valid(keys[0].public_key)
    e = sm2.digest(keys[0].public_key, message)
    for key in keys:
        signature = key.sign_digest(e)
        assert _curve.signature_is_well_formed(signature)
        assert all(p.load_public(key.public_key).verify_digest(e, signature) for p in PROVIDERS)


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(deadline=None)
def test_arbitrary_bytes_are_no_signature(message: bytes, signature: bytes) -> None:
    assert sm2.verify(KEY.public_key, message, signature) is False


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
@settings(deadline=None)
def test_providers_agree_on_arbitrary_numbers(r: int, s: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    handles = [provider.load_public(KEY.public_key) for provider in PROVIDERS]
    assert {handle.verify_digest(bytes(32), signature) for handle in handles} == {False}


@given(st.binary(min_size=64, max_size=64))
def test_arbitrary_bytes_are_no_public_key_unless_on_the_curve(key: bytes) -> None:
    x, y = int.from_bytes(key[:32], "big"), int.from_bytes(key[32:], "big")
    expected = x < _curve.P and y < _curve.P and pow(y, 2, _curve.P) == (x**3 - 3 * x + _curve.B) % _curve.P
    assert sm2.public_key_is_valid(key) is expected


@given(st.binary(min_size=64, max_size=64))
def test_der_round_trip(signature: bytes) -> None:
    assert _der.decode_signature(_der.encode_signature(signature)) == signature


@given(st.binary(max_size=80))
def test_der_reads_only_what_it_writes(data: bytes) -> None:
    try:
        signature = _der.decode_signature(data)
    except ValueError:
        return
    assert _der.encode_signature(signature) == data


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=40), st.binary(max_size=300))
def test_sealing_round_trip(key: bytes, aad: bytes, plaintext: bytes) -> None:
    blob = sm4.seal(key, aad, plaintext)
    assert len(blob) == len(plaintext) + sm4.OVERHEAD
    assert sm4.open_sealed(key, aad, blob) == plaintext


@given(st.binary(max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_no_changed_blob_opens(plaintext: bytes, position: int, mask: int) -> None:
    blob = bytearray(sm4.seal(bytes(16), b"aad", plaintext))
    blob[position % len(blob)] ^= mask
    with pytest.raises(OpenFailed):
        sm4.open_sealed(bytes(16), b"aad", bytes(blob))


@given(st.binary(max_size=5000), st.binary(max_size=200))
def test_hashes_of_all_implementations_agree(data: bytes, key: bytes) -> None:
    implementations = [f for f in (sm3._hashlib_sm3(), sm3._cryptography_sm3(), sm3._gmssl_sm3(), sm3.sm3) if f]
    assert len({f(data) for f in implementations}) == 1
    assert sm3.hmac_sm3(key, data) == sm3._hmac_by_cryptography(key, data)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_different_messages_have_different_digests(left: bytes, right: bytes) -> None:
    assume(left != right)
    assert sm2.digest(KEY.public_key, left) != sm2.digest(KEY.public_key, right)
