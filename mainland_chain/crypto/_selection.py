"""Which SM2 provider this process uses: chosen once, at first use, and only after it passed the standard vectors."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping

from mainland_chain.crypto import _gmssl, _openssl, selftest
from mainland_chain.crypto._provider import Provider, ProviderUnavailable
from mainland_chain.crypto.errors import NoProvider

ENVIRONMENT_VARIABLE = "LIANQIAO_SM2_PROVIDER"

Loader = Callable[[], Provider]
# In order of preference: OpenSSL verifies about 1.5 times as fast and releases the GIL.
LOADERS: Mapping[str, Loader] = {_openssl.NAME: _openssl.load, _gmssl.NAME: _gmssl.load}

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_chosen: Provider | None = None


def select(loaders: Mapping[str, Loader], forced: str | None) -> Provider:
    """The first provider that loads, or the forced one; it has passed the standard vectors.

    A library that is absent is passed over with a warning; a library that gives a wrong answer stops the process
    (`SelfTestFailed`), because its presence means that something is badly wrong with this machine. Raises `NoProvider`.
    """
    if forced is not None and forced not in loaders:
        raise NoProvider(
            "SM2_PROVIDER_UNKNOWN",
            f"no SM2 provider is called {forced!r}",
            subject=ENVIRONMENT_VARIABLE,
            hint="one of: " + ", ".join(loaders),
        )
    selftest.check_hashes_and_cipher()
    reasons: list[str] = []
    for name in [forced] if forced is not None else loaders:
        try:
            provider = loaders[name]()
        except ProviderUnavailable as error:
            reasons.append(f"{name}: {error}")
            _log.warning("SM2 provider %s is unavailable: %s", name, error)
            continue
        selftest.check_sm2(provider)
        return provider
    raise NoProvider(
        "SM2_PROVIDER_UNAVAILABLE",
        "no SM2 implementation on this machine (" + "; ".join(reasons) + ")",
        hint="install OpenSSL 3 (libssl3) or gmssl-pyx",
    )


def provider() -> Provider:
    """This process's SM2 provider. Raises `NoProvider` or `SelfTestFailed` at first use."""
    global _chosen
    if _chosen is None:
        with _lock:
            if _chosen is None:
                _chosen = select(LOADERS, os.environ.get(ENVIRONMENT_VARIABLE) or None)
    return _chosen
