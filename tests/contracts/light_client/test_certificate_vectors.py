"""The shared certificate vectors: as generated, and as the contract judges them."""

from __future__ import annotations

import json
from typing import Any

import certificate_vectors
import pytest
from evm_harness import Reverted
from mainland import Deployment

SETS: list[dict[str, Any]] = json.loads(certificate_vectors.FILE.read_text(encoding="utf-8"))["sets"]


def test_file_is_as_generated() -> None:
    assert certificate_vectors.FILE.read_text(encoding="utf-8") == certificate_vectors.text()


@pytest.mark.parametrize("group", SETS, ids=lambda group: f"{len(group['members'])} members")
def test_contract_agrees(deployment: Deployment, group: dict[str, Any]) -> None:
    keys = [(int(member["x"], 16), int(member["y"], 16)) for member in group["members"]]
    client = deployment.evm.deploy(
        "MainlandLightClient",
        deployment.registry.address,
        deployment.verifier,
        bytes.fromhex(group["chain_id"]),
        group["epoch"],
        [bytes.fromhex(member["org_id"]) for member in group["members"]],
        [deployment.registry.transact("register", *key) for key in keys],
    )
    assert client.committee(group["epoch"])[:2] == (bytes.fromhex(group["validators_hash"]), group["quorum"])
    outcomes = {}
    for case in group["cases"]:
        values = tuple(bytes.fromhex(v) if isinstance(v, str) else v for v in case["checkpoint"].values())
        signatures = b"".join(map(bytes.fromhex, case["signatures"]))
        try:
            client.call("update", values, int(case["bitmap"], 16), signatures)
            outcomes[case["name"]] = "ok"
        except Reverted as error:
            outcomes[case["name"]] = error.name
    assert outcomes == {case["name"]: case["expected"] for case in group["cases"]}
