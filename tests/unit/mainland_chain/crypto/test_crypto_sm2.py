"""SM2 signatures: the standard's example, malformed input, and agreement between implementations."""

from __future__ import annotations

import copy
import json
import pickle
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gmssl_pyx
import pytest
from gmssl.sm2 import CryptSM2  # tests only: it leaks private keys

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import _curve, _der, _openssl, _recover, _selection, protocols, sm2
from mainland_chain.crypto._provider import Provider
from mainland_chain.crypto.errors import BadPrivateKey, SigningFailed, VerificationUnavailable
from mainland_chain.crypto.sm3 import sm3

N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF

# GB/T 32918.5-2017 annex A.2 = GM/T 0003.5-2012 annex A: private key, public key, message, Z, e, nonce k and signature.
D = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
PUBLIC = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
Z = bytes.fromhex("b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3")
E = bytes.fromhex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640")
K = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21"
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "sm2" / "signatures.json").read_text())


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


R_INT, S_INT = int.from_bytes(SIGNATURE[:32], "big"), int.from_bytes(SIGNATURE[32:], "big")

MALFORMED = {
    "empty": b"",
    "short": SIGNATURE[:-1],
    "without its first byte": SIGNATURE[1:],
    "trailing byte": SIGNATURE + b"\0",
    "twice": SIGNATURE * 2,
    "DER": _der.encode_signature(SIGNATURE),
    "r = 0": _raw(0, S_INT),
    "s = 0": _raw(R_INT, 0),
    "both 0": _raw(0, 0),
    "r = n": _raw(N, S_INT),
    "s = n": _raw(R_INT, N),
    "r + s = n": _raw(R_INT, N - R_INT),
    "largest": b"\xff" * 64,
}


def test_standard_example(provider: Provider) -> None:
    key = sm2.PrivateKey.from_bytes(D)
    assert key.public_key == PUBLIC
    assert key.to_bytes() == D
    assert _curve.user_hash(PUBLIC) == Z
    assert sm2.digest(PUBLIC, MESSAGE) == E
    assert sm2.verify(PUBLIC, MESSAGE, SIGNATURE)
    assert sm2.Verifier(PUBLIC).verify(MESSAGE, SIGNATURE)
    assert sm2.Verifier(PUBLIC).verify_digest(E, SIGNATURE)


def test_standard_example_with_its_nonce() -> None:
    """The published r and s come from the published k: the vector is transcribed whole."""
    assert CryptSM2(D.hex(), PUBLIC.hex()).sign(E, K) == SIGNATURE.hex()


def test_signing_round_trip(provider: Provider) -> None:
    key = sm2.PrivateKey.generate()
    verifier = sm2.verifier(key.public_key)
    for message in (b"", b"m", bytes(64), secrets.token_bytes(5000)):
        first, second = key.sign(message), key.sign(message)
        assert first != second
        assert verifier.verify(message, first)
        assert verifier.verify(message, second)
        assert verifier.verify_digest(sm2.digest(key.public_key, message), first)
        assert verifier.verify(message, key.sign_digest(sm2.digest(key.public_key, message)))
        assert not verifier.verify(message + b"\0", first)
        assert not sm2.verify(PUBLIC, message, first)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_signatures_are_false_not_errors(provider: Provider, name: str) -> None:
    signature = MALFORMED[name]
    assert sm2.verify(PUBLIC, MESSAGE, signature) is False
    assert sm2.Verifier(PUBLIC).verify(MESSAGE, signature) is False
    assert sm2.Verifier(PUBLIC).verify_digest(E, signature) is False


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_signatures_never_reach_the_library(credulous: object, name: str) -> None:
    assert sm2.Verifier(PUBLIC).verify(MESSAGE, SIGNATURE) is True
    assert sm2.Verifier(PUBLIC).verify(MESSAGE, MALFORMED[name]) is False
    assert sm2.Verifier(PUBLIC).verify_digest(E, MALFORMED[name]) is False


def test_adding_n_gives_no_second_encoding(credulous: object) -> None:
    """r + n fits in 256 bits only when r is small: such values are refused by range whatever the library does."""
    small = 2**256 - N - 1
    assert sm2.verify(PUBLIC, MESSAGE, _raw(small, S_INT)) is True
    assert sm2.verify(PUBLIC, MESSAGE, _raw(small + N, S_INT)) is False
    assert sm2.verify(PUBLIC, MESSAGE, _raw(R_INT, small + N)) is False


def test_the_length_is_exact_even_when_the_numbers_are_in_range(credulous: object) -> None:
    small = _raw(R_INT, 5)
    assert sm2.verify(PUBLIC, MESSAGE, small) is True
    for signature in (small + b"\0", small[:32] + b"\0" + small[32:], small[:32] + small[33:], small[:32] + b"\5"):
        assert sm2.verify(PUBLIC, MESSAGE, signature) is False


def test_every_flipped_bit_of_the_signature_is_false(provider: Provider) -> None:
    verifier = sm2.Verifier(PUBLIC)
    for position in range(64):
        changed = bytearray(SIGNATURE)
        changed[position] ^= 1 << (position % 8)
        assert not verifier.verify(MESSAGE, bytes(changed))


BAD_PUBLIC_KEYS = {
    "empty": b"",
    "short": PUBLIC[:-1],
    "with the 04 prefix": b"\x04" + PUBLIC,
    "off the curve": PUBLIC[:-1] + bytes((PUBLIC[-1] ^ 1,)),
    "zero": bytes(64),
    "x and y exchanged": PUBLIC[32:] + PUBLIC[:32],
    # (p + x, y) satisfies the equation mod p, but is a second encoding of a point: here x = the least x on the curve.
    "x not below p": b"",
    "y not below p": b"",
}


def _point_with_small_coordinate() -> tuple[int, int]:
    """A curve point with x + p below 2^256, so that the unreduced x fits in 32 bytes."""
    for x in range(1, 1000):
        square = (x**3 + _curve.A * x + _curve.B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square:
            return x, y
    raise AssertionError


_X, _Y = _point_with_small_coordinate()
BAD_PUBLIC_KEYS["x not below p"] = _raw(_X + P, _Y)


def _point_with_small_y() -> tuple[int, int]:
    """A curve point with a small y: a root of the cubic, found as gcd(x^p - x, cubic) would; here by search of y."""
    for y in range(1, 1000):
        x = _cubic_root(y)
        if x is not None:
            return x, y
    raise AssertionError


def _cubic_root(y: int) -> int | None:
    """Root x of x^3 + ax + b - y^2 mod p, if x^p - x shares exactly one linear factor with it."""
    constant = (_curve.B - y * y) % P

    def times(left: list[int], right: list[int]) -> list[int]:
        product = [0] * 5
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                product[i + j] = (product[i + j] + a * b) % P
        for degree in (4, 3):  # x^3 = -ax - constant
            high, product[degree] = product[degree], 0
            product[degree - 2] = (product[degree - 2] - high * _curve.A) % P
            product[degree - 3] = (product[degree - 3] - high * constant) % P
        return product[:3]

    power, base, exponent = [1, 0, 0], [0, 1, 0], P
    while exponent:
        if exponent & 1:
            power = times(power, base)
        base, exponent = times(base, base), exponent >> 1
    c, b, a = power[0], (power[1] - 1) % P, power[2]
    if a == 0:
        return None
    # Divide the cubic by ax^2 + bx + c: a remainder of degree one is the common factor when there is one root.
    inverse = pow(a, -1, P)
    b, c = b * inverse % P, c * inverse % P
    slope, rest = (_curve.A - c + b * b) % P, (constant + b * c) % P
    if slope == 0:
        return None
    x = -rest * pow(slope, -1, P) % P
    return x if (x**3 + _curve.A * x + constant) % P == 0 else None


_SX, _SY = _point_with_small_y()
BAD_PUBLIC_KEYS["y not below p"] = _raw(_SX, _SY + P)
# The same numbers in other lengths.
BAD_PUBLIC_KEYS["y without a leading zero"] = _raw(_SX, _SY)[:32] + _raw(_SX, _SY)[33:]
BAD_PUBLIC_KEYS["y with one more leading zero"] = _raw(_SX, _SY)[:32] + b"\0" + _raw(_SX, _SY)[32:]


def test_the_points_behind_the_unreduced_encodings_are_on_the_curve(provider: Provider) -> None:
    for x, y in ((_X, _Y), (_SX, _SY)):
        assert sm2.public_key_is_valid(_raw(x, y))
        sm2.Verifier(_raw(x, y))


@pytest.mark.parametrize("name", BAD_PUBLIC_KEYS)
@pytest.mark.parametrize(
    "use",
    [
        lambda key: sm2.verify(key, MESSAGE, SIGNATURE),
        sm2.Verifier,
        sm2.verifier,
        lambda key: sm2.digest(key, MESSAGE),
    ],
    ids=["verify", "Verifier", "verifier", "digest"],
)
def test_bad_public_keys_are_refused(credulous: object, name: str, use: Callable[[bytes], object]) -> None:
    assert sm2.public_key_is_valid(BAD_PUBLIC_KEYS[name]) is False
    with pytest.raises(Rejected) as caught:
        use(BAD_PUBLIC_KEYS[name])
    assert caught.value.code == "BAD_PUBLIC_KEY"
    assert ("not on the SM2 curve" in caught.value.message) is (len(BAD_PUBLIC_KEYS[name]) == 64)


@pytest.mark.parametrize("name", ["empty", "short", "off the curve", "zero", "x and y exchanged"])
def test_the_libraries_refuse_bad_public_keys_too(provider: Provider, name: str) -> None:
    with pytest.raises((ValueError, gmssl_pyx.InvalidValueError)):
        provider.load_public(BAD_PUBLIC_KEYS[name])


def test_a_key_only_the_library_refuses_is_typed(credulous: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(key: bytes) -> None:
        raise ValueError

    monkeypatch.setattr(credulous, "load_public", refuse)
    monkeypatch.setattr(credulous, "load_private", refuse)
    with pytest.raises(Rejected, match="the provider refuses it") as caught:
        sm2.Verifier(PUBLIC)
    assert caught.value.code == "BAD_PUBLIC_KEY"
    with pytest.raises(BadPrivateKey):
        sm2.PrivateKey.from_bytes(D)


@pytest.mark.parametrize("d", [0, N - 1, N, N + 1, 2**256 - 1])
def test_private_keys_out_of_range_are_refused(credulous: object, d: int) -> None:
    with pytest.raises(BadPrivateKey) as caught:
        sm2.PrivateKey.from_bytes(d.to_bytes(32, "big"))
    assert caught.value.code == "BAD_PRIVATE_KEY"


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_private_keys_of_other_sizes_are_refused(credulous: object, size: int) -> None:
    with pytest.raises(BadPrivateKey):
        sm2.PrivateKey.from_bytes(b"\1" * size)


@pytest.mark.parametrize("d", [1, 2, N - 2])
def test_the_ends_of_the_private_key_range_work(provider: Provider, d: int) -> None:
    key = sm2.PrivateKey.from_bytes(d.to_bytes(32, "big"))
    point = _recover.multiply(d, (_curve.GX, _curve.GY))
    assert point is not None
    assert key.public_key == _raw(*point)
    assert sm2.verify(key.public_key, MESSAGE, key.sign(MESSAGE))


def test_generated_keys_use_the_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def randbelow(bound: int) -> int:
        asked.append(bound)
        return 0 if len(asked) == 1 else bound - 1

    monkeypatch.setattr(secrets, "randbelow", randbelow)
    assert int.from_bytes(sm2.PrivateKey.generate().to_bytes(), "big") == 1
    assert int.from_bytes(sm2.PrivateKey.generate().to_bytes(), "big") == N - 2


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digests_of_other_sizes_are_refused(provider: Provider, size: int) -> None:
    with pytest.raises(Rejected, match="digest e"):
        sm2.PrivateKey.from_bytes(D).sign_digest(bytes(size))
    with pytest.raises(Rejected, match="digest e"):
        sm2.Verifier(PUBLIC).verify_digest(bytes(size), SIGNATURE)


def test_another_user_id_is_another_message(provider: Provider) -> None:
    der = gmssl_pyx.sm2_sign(D, PUBLIC, MESSAGE, signer_id=b"another-id")
    assert gmssl_pyx.sm2_verify(PUBLIC, MESSAGE, der, signer_id=b"another-id")
    assert not sm2.verify(PUBLIC, MESSAGE, _der.decode_signature(der))
    without_z = gmssl_pyx.sm2_sign_sm3_digest(D, sm3(MESSAGE))
    assert not sm2.verify(PUBLIC, MESSAGE, _der.decode_signature(without_z))
    ours = gmssl_pyx.sm2_sign(D, PUBLIC, MESSAGE, signer_id=b"1234567812345678")
    assert sm2.verify(PUBLIC, MESSAGE, _der.decode_signature(ours))


def test_providers_accept_each_others_signatures() -> None:
    providers = [_selection.select(_selection.LOADERS, name) for name in _selection.LOADERS]
    for _ in range(20):
        d = (secrets.randbelow(N - 2) + 1).to_bytes(32, "big")
        e = secrets.token_bytes(32)
        private = [provider.load_private(d) for provider in providers]
        assert len({key.public_key for key in private}) == 1
        for signer in private:
            signature = signer.sign_digest(e)
            for provider in providers:
                public = provider.load_public(signer.public_key)
                assert public.verify_digest(e, signature)
                assert not public.verify_digest(e[::-1], signature)


def test_third_implementation_agrees_both_ways(provider: Provider) -> None:
    for _ in range(5):
        key = sm2.PrivateKey.generate()
        if key.public_key.hex().startswith("04"):
            continue  # gmssl 3.2.2 takes such keys for prefixed ones and strips them
        other = CryptSM2(key.to_bytes().hex(), key.public_key.hex())
        message = secrets.token_bytes(50)
        e = sm2.digest(key.public_key, message)
        theirs = other.sign(e, f"{secrets.randbelow(N - 1) + 1:064x}")
        assert sm2.verify(key.public_key, message, bytes.fromhex(theirs))
        assert other.verify(key.sign(message).hex(), e)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=[case["name"] for case in VECTORS["cases"]])
def test_vector_file(provider: Provider, case: dict[str, str | bool]) -> None:
    key, message, signature = (bytes.fromhex(str(case[name])) for name in ("public_key", "message", "signature"))
    assert sm2.digest(key, message).hex() == case["e"]
    assert sm2.verify(key, message, signature) is case["valid"]


def test_the_secret_does_not_leak_by_accident() -> None:
    key = sm2.PrivateKey.from_bytes(D)
    for text in (repr(key), str(key), f"{key}", repr([key])):
        assert D.hex() not in text
        assert repr(D) not in text
    assert not hasattr(key, "__dict__")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(key, protocol)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(key)


def test_a_signing_device_that_only_sees_digests_fits() -> None:
    class Device:
        public_key = PUBLIC

        def sign_digest(self, e: bytes) -> bytes:
            assert len(e) == 32
            return sm2.PrivateKey.from_bytes(D).sign_digest(e)

    device: protocols.Signer = Device()
    assert sm2.verify(PUBLIC, MESSAGE, protocols.sign(device, MESSAGE))
    assert isinstance(sm2.PrivateKey.from_bytes(D), protocols.Signer)
    checker: protocols.SignatureVerifier = sm2.verifier(PUBLIC)
    assert isinstance(checker, protocols.SignatureVerifier)


def test_verifiers_are_cached_and_bounded() -> None:
    assert sm2.verifier(PUBLIC) is sm2.verifier(PUBLIC)
    assert sm2.verifier.cache_info().maxsize == 4096
    assert _curve.user_hash.cache_info().maxsize == 4096


def test_threads_share_keys(provider: Provider) -> None:
    key, verifier = sm2.PrivateKey.from_bytes(D), sm2.verifier(PUBLIC)

    def work(i: int) -> bool:
        message = i.to_bytes(4, "big")
        signature = key.sign(message)
        return verifier.verify(message, signature) and not verifier.verify(message + b"x", signature)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_openssl_verification_releases_the_gil() -> None:
    """Without release the other thread could not run at all: threads switch by themselves only after minutes here."""
    public = _counting_provider()[0].load_public(PUBLIC)
    turns, seen, interval = [0], [], sys.getswitchinterval()

    def verify() -> None:
        for _ in range(200):
            public.verify_digest(E, SIGNATURE)
        seen.append(turns[0])

    thread = threading.Thread(target=verify)
    sys.setswitchinterval(600)
    try:
        thread.start()
        while not seen:
            turns[0] += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert seen[0] > 0


class _Counting:
    """libcrypto with its allocations counted and, if asked, one function failing."""

    def __init__(self, library: _openssl._Library, **replaced: Callable[..., object]) -> None:
        self.live = 0
        self.__dict__.update(vars(library))

        def counted(function: Callable[..., object], step: int) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                result = function(*arguments)
                self.live += step if step > 0 or arguments[0] else 0
                return result

            return call

        for name in ("parse_public", "parse_private", "new_context"):
            setattr(self, name, counted(getattr(library, name), 1))
        for name in ("free_key", "free_context"):
            setattr(self, name, counted(getattr(library, name), -1))
        self.__dict__.update(replaced)


def _counting_provider(**replaced: Callable[..., object]) -> tuple[_openssl.OpenSslProvider, _Counting]:
    try:
        provider = _openssl.load()
    except _selection.ProviderUnavailable as error:
        pytest.skip(str(error))
    counting = _Counting(provider._library, **replaced)
    provider._library = counting  # type: ignore[assignment]
    return provider, counting


def test_openssl_objects_are_freed() -> None:
    provider, counting = _counting_provider()
    private, public = provider.load_private(D), provider.load_public(PUBLIC)
    assert counting.live == 2
    for _ in range(10):
        assert public.verify_digest(E, private.sign_digest(E))
        assert not public.verify_digest(Z, SIGNATURE)
    assert counting.live == 2
    del private, public
    assert counting.live == 0


def test_a_failing_library_is_an_error_and_never_a_verdict() -> None:
    provider, counting = _counting_provider(verify_init=lambda context: 0, sign_init=lambda context: 0)
    public, private = provider.load_public(PUBLIC), provider.load_private(D)
    with pytest.raises(VerificationUnavailable):
        public.verify_digest(E, SIGNATURE)
    with pytest.raises(SigningFailed):
        private.sign_digest(E)
    assert counting.live == 2
    provider, _ = _counting_provider(new_context=lambda *arguments: None)
    with pytest.raises(VerificationUnavailable):
        provider.load_public(PUBLIC).verify_digest(E, SIGNATURE)
    with pytest.raises(SigningFailed):
        provider.load_private(D).sign_digest(E)
    provider, _ = _counting_provider(sign=lambda *arguments: 0)
    with pytest.raises(SigningFailed):
        provider.load_private(D).sign_digest(E)

    real = _openssl.load()._library.get_octets
    provider, _ = _counting_provider(get_octets=lambda *arguments: real(*arguments) - 1)
    with pytest.raises(ValueError, match="public point"):
        provider.load_private(D)


def test_gmssl_failure_hides_the_key() -> None:
    class Broken:
        GmsslInnerError = gmssl_pyx.GmsslInnerError
        calls = 0

        def sm2_sign_sm3_digest(self, d: bytes, e: bytes) -> bytes:
            self.calls += 1
            if self.calls > 2:
                raise gmssl_pyx.GmsslInnerError(d.hex())
            return gmssl_pyx.sm2_sign_sm3_digest(d, e)

    from mainland_chain.crypto._gmssl import GmSslProvider

    key = GmSslProvider(Broken()).load_private(D)
    with pytest.raises(SigningFailed) as caught:
        key.sign_digest(E)
    assert D.hex() not in str(caught.value)
    assert caught.value.__suppress_context__
