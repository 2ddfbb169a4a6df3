from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainland_chain.crypto import _selection, sm2
from mainland_chain.crypto._provider import Provider, ProviderUnavailable


@pytest.fixture(params=sorted(_selection.LOADERS))
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """Each SM2 implementation of this machine in turn, as the process's provider."""
    try:
        chosen = _selection.select(_selection.LOADERS, request.param)
    except _selection.NoProvider as error:
        if isinstance(error.__cause__, ProviderUnavailable) or error.code == "SM2_PROVIDER_UNAVAILABLE":
            pytest.skip(str(error))
        raise
    monkeypatch.setattr(_selection, "_chosen", chosen)
    sm2.verifier.cache_clear()
    yield chosen
    sm2.verifier.cache_clear()


class CredulousProvider:
    """Accepts every key and every signature: what remains refused is refused by our own checks."""

    name = "credulous"

    def load_public(self, public_key: bytes) -> CredulousProvider:
        return self

    def load_private(self, private_key: bytes) -> CredulousProvider:
        return self

    public_key = bytes(64)

    def verify_digest(self, e: bytes, signature: bytes) -> bool:
        return True

    def sign_digest(self, e: bytes) -> bytes:
        return bytes(64)


@pytest.fixture
def credulous(monkeypatch: pytest.MonkeyPatch) -> Iterator[CredulousProvider]:
    chosen = CredulousProvider()
    monkeypatch.setattr(_selection, "_chosen", chosen)
    sm2.verifier.cache_clear()
    yield chosen
    sm2.verifier.cache_clear()
