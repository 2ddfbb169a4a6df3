"""Rates of the cryptographic primitives on this machine. Measures; passes or fails nothing.

`run()` gives name -> {value, unit, baseline, ratio}. `baseline` is measured in the same run (the other provider, the plain library
call, or one thread), null where there is nothing to compare with. Run as a program, it prints that as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from mainland_chain.crypto import _selection, sm2, sm4
from mainland_chain.crypto._provider import ProviderUnavailable
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.tree import CompactRange, merkle_root


class Figure(TypedDict):
    value: float
    unit: str
    baseline: float | None
    ratio: float | None


def _rate(action: Callable[[], object], seconds: float) -> float:
    """Calls a second: the best of three rounds, because others share the machine."""
    action()
    best = 0.0
    for _ in range(3):
        calls, begin = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < seconds / 3:
            for _ in range(8):
                action()
            calls += 8
        best = max(best, calls / elapsed)
    return best


def _figure(value: float, unit: str, baseline: float | None = None) -> Figure:
    ratio = None if baseline is None else round(value / baseline, 3)
    return {"value": round(value, 1), "unit": unit, "baseline": baseline, "ratio": ratio}


def sm2_rates(seconds: float) -> dict[str, Figure]:
    """Verify and sign over a digest, one thread, for each provider; and the whole public path over a message."""
    rates: dict[str, tuple[float, float]] = {}
    key = sm2.PrivateKey.generate()
    message = bytes(64)
    signature, e = key.sign(message), sm2.digest(key.public_key, message)
    for name, loader in _selection.LOADERS.items():
        try:
            provider = loader()
        except ProviderUnavailable:
            continue
        public, private = provider.load_public(key.public_key), provider.load_private(key.to_bytes())
        rates[name] = (
            _rate(lambda p=public: p.verify_digest(e, signature), seconds),
            _rate(lambda p=private: p.sign_digest(e), seconds),
        )
    figures: dict[str, Figure] = {}
    for name, (verify, sign) in rates.items():
        other = next((r for n, r in rates.items() if n != name), (None, None))
        figures[f"sm2_verify_{name}"] = _figure(verify, "1/s", other[0])
        figures[f"sm2_sign_{name}"] = _figure(sign, "1/s", other[1])
    verifier = sm2.verifier(key.public_key)
    one = _rate(lambda: verifier.verify(message, signature), seconds)
    raw = rates[_selection.provider().name][0]
    figures["sm2_verify"] = _figure(one, "1/s", raw)
    figures["sm2_verify_two_threads"] = _figure(
        _in_threads(lambda: verifier.verify(message, signature), 2, seconds), "1/s", one
    )
    return figures


def _in_threads(action: Callable[[], object], threads: int, seconds: float) -> float:
    def loop(_: int) -> int:
        calls, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            action()
            calls += 1
        return calls

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(loop, range(threads))) / seconds


def hash_rates(seconds: float) -> dict[str, Figure]:
    """SM3 and Keccak-256 of a Merkle node (65 bytes) and SM3 in bulk; the baseline of SM3 is hashlib by name."""
    node, bulk = bytes(65), bytes(1 << 20)
    by_name = _rate(lambda: hashlib.new("sm3", node).digest(), seconds) if _has_sm3() else None
    return {
        "sm3_node": _figure(_rate(lambda: sm3(node), seconds), "1/s", by_name),
        "sm3_bulk": _figure(_rate(lambda: sm3(bulk), seconds) * len(bulk) / 1e6, "MB/s"),
        "keccak256_node": _figure(_rate(lambda: keccak256(node), seconds), "1/s"),
    }


def _has_sm3() -> bool:
    return "sm3" in hashlib.algorithms_available


def tree_rates(seconds: float) -> dict[str, Figure]:
    """Roots of 288 leaves (a day of 5-minute readings) and appends to the export log."""
    leaves = [SM3.leaf(i.to_bytes(4, "big")) for i in range(288)]
    log = CompactRange(KECCAK)
    return {
        "merkle_root_288_sm3": _figure(_rate(lambda: merkle_root(SM3, leaves), seconds), "1/s"),
        "merkle_root_288_keccak": _figure(_rate(lambda: merkle_root(KECCAK, leaves), seconds), "1/s"),
        "log_append_keccak": _figure(288 * _rate(lambda: log.extend(leaves), seconds), "1/s"),
    }


def cipher_rates(seconds: float) -> dict[str, Figure]:
    """SM4-GCM sealing of 1 MiB."""
    bulk = bytes(1 << 20)
    return {"sm4_gcm_seal": _figure(_rate(lambda: sm4.seal(bytes(16), b"", bulk), seconds) * len(bulk) / 1e6, "MB/s")}


def run(seconds: float = 1.0) -> dict[str, Figure]:
    """Every figure; about `seconds` for each."""
    return {**sm2_rates(seconds), **hash_rates(seconds), **tree_rates(seconds), **cipher_rates(seconds)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
