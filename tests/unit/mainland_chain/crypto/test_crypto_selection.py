"""Start-up: which provider is chosen, and that one with a wrong answer is refused."""

from __future__ import annotations

import ctypes
import logging
import secrets
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lianqiao_base.errors import Fatal
from mainland_chain.crypto import _curve, _gmssl, _openssl, _selection, keccak, selftest, sm2, sm4
from mainland_chain.crypto import sm3 as sm3_module
from mainland_chain.crypto._provider import Provider, ProviderUnavailable
from mainland_chain.crypto.errors import NoProvider, SelfTestFailed


def _good() -> Provider:
    return _selection.select(_selection.LOADERS, None)


class Altered:
    """A working provider with one behaviour replaced."""

    name = "altered"

    def __init__(self, **replaced: object) -> None:
        self.inner = _good()
        self.replaced = replaced

    def _wrap(self, handle: object, *names: str) -> SimpleNamespace:
        return SimpleNamespace(**{name: self.replaced.get(name, getattr(handle, name)) for name in names})

    def load_public(self, public_key: bytes) -> SimpleNamespace:
        if "load_error" in self.replaced:
            raise ValueError
        return self._wrap(self.inner.load_public(public_key), "verify_digest")

    def load_private(self, private_key: bytes) -> SimpleNamespace:
        return self._wrap(self.inner.load_private(private_key), "public_key", "sign_digest")


def _always_the_same(e: bytes) -> bytes:
    return selftest._vectors.SM2.signature  # valid, but its nonce is known


def _true(e: bytes, signature: bytes) -> bool:
    return True


def _only_the_published(e: bytes, signature: bytes) -> bool:
    return e == selftest._vectors.SM2.e and signature != selftest._vectors.SM2.signature[:-1] + b"\xab"


EXAMPLE = selftest._vectors.SM2
BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "another public key": ({"public_key": bytes(64)}, "public key"),
    "accepts nothing": ({"verify_digest": lambda e, signature: False}, "verification"),
    "accepts everything": ({"verify_digest": _true}, "a changed signature"),
    "ignores the digest": ({"verify_digest": lambda e, signature: signature == EXAMPLE.signature}, "another digest"),
    "ignores the signature": ({"verify_digest": lambda e, signature: e == EXAMPLE.e}, "a changed signature"),
    "signs zeros": ({"sign_digest": lambda e: bytes(64)}, "signing"),
    "signs at random": ({"sign_digest": lambda e: secrets.token_bytes(64)}, "signing"),
    "signs with trailing bytes": (
        {"sign_digest": lambda e: secrets.token_bytes(65), "verify_digest": _only_the_published},
        "signing",
    ),
    "repeats its nonce": ({"sign_digest": _always_the_same}, "fresh nonces"),
    "refuses the example key": ({"load_error": True}, "keys"),
}


def test_an_unaltered_provider_passes() -> None:
    selftest.check_sm2(Altered())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_provider_stops_the_process(name: str) -> None:
    """Even with a good one next in line: a wrong answer is not an absence."""
    behaviour, failing = BROKEN[name]
    loaders = {"altered": lambda: Altered(**behaviour), "good": _good}
    with pytest.raises(SelfTestFailed) as caught:
        _selection.select(loaders, None)  # type: ignore[arg-type]
    assert isinstance(caught.value, Fatal)
    assert caught.value.subject == "altered"
    assert caught.value.data["vector"] == f"GB/T 32918.5-2017 A.2, {failing}"


@pytest.mark.parametrize(
    ("module", "function", "replacement"),
    [
        (sm3_module, "sm3", lambda data: bytes(32)),
        (keccak, "keccak256", lambda data: bytes(32)),
        (sm4, "encrypt_with_nonce", lambda *arguments: b""),
        (sm4, "open_sealed", lambda *arguments: b""),
        (_curve, "user_hash", lambda key: bytes(32)),
        (_curve, "digest", lambda key, message: bytes(32)),
    ],
    ids=["sm3", "keccak256", "sm4 seal", "sm4 open", "Z", "e"],
)
def test_a_wrong_hash_or_cipher_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, module: object, function: str, replacement: object
) -> None:
    monkeypatch.setattr(module, function, replacement)
    with pytest.raises(SelfTestFailed):
        _selection.select(_selection.LOADERS, None)


def _absent() -> Provider:
    raise ProviderUnavailable("not on this machine")


def test_an_absent_library_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        chosen = _selection.select({"first": _absent, "second": _good}, None)
    assert chosen.name == _good().name
    assert "first is unavailable: not on this machine" in caplog.text


def test_no_library_at_all_is_fatal() -> None:
    with pytest.raises(NoProvider, match="first: not on this machine") as caught:
        _selection.select({"first": _absent}, None)
    assert caught.value.code == "SM2_PROVIDER_UNAVAILABLE"


def test_a_forced_provider_has_no_substitute() -> None:
    with pytest.raises(NoProvider) as caught:
        _selection.select({"first": _absent, "second": _good}, "first")
    assert caught.value.code == "SM2_PROVIDER_UNAVAILABLE"
    with pytest.raises(NoProvider) as caught:
        _selection.select(_selection.LOADERS, "tongsuo")
    assert caught.value.code == "SM2_PROVIDER_UNKNOWN"


@pytest.mark.parametrize("name", list(_selection.LOADERS))
def test_the_environment_forces_a_provider(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LIANQIAO_SM2_PROVIDER", name)
    monkeypatch.setattr(_selection, "_chosen", None)
    assert sm2.start().sm2 == name
    monkeypatch.setenv("LIANQIAO_SM2_PROVIDER", "nonsense")
    assert sm2.start().sm2 == name, "chosen once"


def test_a_wrong_environment_is_fatal_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_selection, "_chosen", None)
    monkeypatch.setenv("LIANQIAO_SM2_PROVIDER", "nonsense")
    with pytest.raises(NoProvider):
        sm2.start()
    monkeypatch.setenv("LIANQIAO_SM2_PROVIDER", "")
    assert sm2.start().sm2 in _selection.LOADERS


def test_importing_chooses_nothing_and_reads_no_environment() -> None:
    program = (
        "import os; os.environ['LIANQIAO_SM2_PROVIDER'] = 'nonsense'\n"
        "from mainland_chain.crypto import sm2, _selection\n"
        "assert _selection._chosen is None\n"
        "os.environ['LIANQIAO_SM2_PROVIDER'] = ''\n"
        "print(sm2.start().sm2)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() in _selection.LOADERS


def test_openssl_absent_too_old_or_without_sm2_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProviderUnavailable, match="lacks a function"):
        _openssl.OpenSslProvider(ctypes.CDLL(None))
    monkeypatch.setattr(_openssl, "_SPKI", b"")
    with pytest.raises(ProviderUnavailable, match="without SM2"):
        _openssl.load()
    monkeypatch.setattr(_openssl, "LIBRARIES", ("libnothing.so.0",))
    with pytest.raises(ProviderUnavailable, match="no OpenSSL 3"):
        _openssl.load()


def test_gmssl_absent_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    with pytest.raises(ProviderUnavailable, match="not installed"):
        _gmssl.load()
    assert sm3_module._gmssl_sm3() is None
