"""The certificate vectors that the Solidity light client passes, run through the Python verifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.types import CHECKPOINT_TAG, Checkpoint, QuorumCertificate, Validator, ValidatorSet

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors/light_client/certificates.json").read_text(encoding="utf-8")
)
CODES = {
    "WrongChain": {"WRONG_CHAIN"},
    "StaleHeight": {"ZERO_HEIGHT"},
    "WrongEpoch": {"WRONG_EPOCH"},
    "UnknownEpoch": {"WRONG_EPOCH"},
    "ZeroLogRoot": {"ZERO_ROOT"},
    "ZeroHeaderHash": {"ZERO_ROOT"},
    "SignerOutsideSet": {"SIGNER_OUTSIDE_SET"},
    "QuorumNotReached": {"NO_QUORUM"},
    "SignaturesLengthMismatch": {"SIGNATURE_COUNT", "BAD_SIGNATURE"},
    "InvalidCertificate": {"BAD_SIGNATURE"},
}
"""Our codes for the contract's errors."""


def cases() -> Iterator[Any]:
    for vectors in VECTORS["sets"]:
        for case in vectors["cases"]:
            yield pytest.param(vectors, case, id=f"{len(vectors['members'])}: {case['name']}")


def read_set(raw: dict[str, Any]) -> ValidatorSet:
    members = tuple(Validator(bytes.fromhex(m["org_id"]), bytes.fromhex(m["x"] + m["y"])) for m in raw["members"])
    return ValidatorSet(bytes.fromhex(raw["chain_id"]), raw["epoch"], members)


def test_tag_and_sets() -> None:
    assert bytes.fromhex(VECTORS["checkpoint_tag"]) == CHECKPOINT_TAG
    for raw in VECTORS["sets"]:
        validators = read_set(raw)
        assert (validators.hash.hex(), validators.quorum) == (raw["validators_hash"], raw["quorum"])


@pytest.mark.parametrize(("raw", "case"), list(cases()))
def test_certificates(raw: dict[str, Any], case: dict[str, Any]) -> None:
    given = case["checkpoint"]
    hexed = {k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in given.items()}
    checkpoint = Checkpoint(**hexed)
    assert checkpoint.digest().hex() == case["digest"]
    signatures = tuple(bytes.fromhex(s) for s in case["signatures"])
    certificate = QuorumCertificate(int(case["bitmap"], 16), signatures)
    if case["expected"] == "ok":
        verify_certificate(checkpoint, certificate, read_set(raw))
        return
    with pytest.raises(VerificationError) as caught:
        verify_certificate(checkpoint, certificate, read_set(raw))
    assert caught.value.code in CODES[case["expected"]]
