"""Builders of valid inputs; each test bends one thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compliance.evidence.store import DecisionStore
from compliance.export import gate as export_gate
from compliance.export.model import ExportApproval, ExportContext, ExportedValue, ExportFacts, PolicyView
from compliance.transfer import gate as transfer_gate
from compliance.transfer.ivms import IdentityPayload, parse_identity
from compliance.transfer.model import ScreeningSettings, TransferContext, TransferOrder, UnitPrice
from compliance.transfer.sanctions import SanctionsList, load_sanctions

NOW_MS = 1_795_000_000_000  # 2026-11-18
DAY_MS = 86_400_000
DESTINATION = b"\xd0" * 32
RECIPIENT = bytes.fromhex("aa" * 20)
ISSUER = bytes.fromhex("bb" * 20)
LISTED = bytes.fromhex("cc" * 20)

LEGAL_NAME = {"legalPersonName": "Harbour Sun Limited", "legalPersonNameIdentifierType": "LEGL"}
IDENTITY: dict[str, Any] = {
    "payloadMetadata": {"payloadVersion": "101.2023"},
    "originator": {
        "originatorPerson": [
            {
                "legalPerson": {
                    "name": {"nameIdentifier": [LEGAL_NAME]},
                    "geographicAddress": [
                        {
                            "addressType": "GEOG",
                            "addressLine": ["1 Example Street"],
                            "townName": "Hong Kong",
                            "country": "HK",
                        }
                    ],
                    "nationalIdentification": {
                        "nationalIdentifier": "213800WSGIIZCXF1P572",
                        "nationalIdentifierType": "LEIX",
                    },
                },
                "accountNumber": ["ISSUER-0001"],
            }
        ]
    },
    "beneficiary": {
        "beneficiaryPerson": [
            {
                "naturalPerson": {
                    "name": {
                        "nameIdentifier": [
                            {
                                "primaryIdentifier": "Chan",
                                "secondaryIdentifier": "Tai Man",
                                "naturalPersonNameIdentifierType": "LEGL",
                            }
                        ],
                        "localNameIdentifier": [{"primaryIdentifier": "陳大文", "nameIdentifierType": "LEGL"}],
                    },
                    "dateAndPlaceOfBirth": {"dateOfBirth": "1980-02-29", "placeOfBirth": "Hong Kong"},
                    "countryOfResidence": "HK",
                },
                "accountNumber": ["0x" + "aa" * 20],
            }
        ]
    },
    "originatingVASP": {"originatingVASP": {"legalPerson": {"name": {"nameIdentifier": [LEGAL_NAME]}}}},
    "beneficiaryVASP": {"beneficiaryVASP": {"legalPerson": {"name": {"nameIdentifier": [LEGAL_NAME]}}}},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DecisionStore]:
    opened = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    yield opened
    opened.close()


@pytest.fixture
def facts() -> Callable[..., ExportFacts]:
    def build(**changes: Any) -> ExportFacts:
        values: dict[str, Any] = {
            "claim_kind": "TelemetryClaim",
            "record_ids": (b"\x01" * 32,),
            "fields": ("province", "energy_wh"),
            "destination": DESTINATION,
            "policy_version": 3,
            "filing_reference": "CSRC-RWA-2026-0001",
            "approval_reference": "EXP-1",
            "values": (ExportedValue("province", "440000"), ExportedValue("energy_wh", "15234567890", counted=True)),
        }
        return ExportFacts(**{**values, **changes})

    return build


@pytest.fixture
def policy() -> Callable[..., PolicyView]:
    def build(**changes: Any) -> PolicyView:
        values: dict[str, Any] = {
            "version": 3,
            "effective_from_ms": NOW_MS - DAY_MS,
            "effective_to_ms": NOW_MS + DAY_MS,
            "destinations": frozenset({DESTINATION}),
            "fields": {"TelemetryClaim": frozenset({"province", "energy_wh"})},
        }
        return PolicyView(**{**values, **changes})

    return build


@pytest.fixture
def approval() -> Callable[..., ExportApproval]:
    def build(**changes: Any) -> ExportApproval:
        values: dict[str, Any] = {
            "reference": "EXP-1",
            "claim_kinds": frozenset({"TelemetryClaim", "AssetClaim", "UnitLockClaim"}),
            "destinations": frozenset({DESTINATION}),
            "valid_from_ms": NOW_MS - DAY_MS,
            "valid_until_ms": NOW_MS + DAY_MS,
            "document_sha256": b"\x05" * 32,
        }
        return ExportApproval(**{**values, **changes})

    return build


@pytest.fixture
def export_context(facts: Any, policy: Any, approval: Any) -> Callable[..., ExportContext]:
    def build(**changes: Any) -> ExportContext:
        values: dict[str, Any] = {
            "facts": facts(),
            "policy": policy(),
            "approval": approval(),
            "rules": export_gate.default_rules(),
            "now_ms": NOW_MS,
        }
        return ExportContext(**{**values, **changes})

    return build


@pytest.fixture
def order() -> Callable[..., TransferOrder]:
    def build(**changes: Any) -> TransferOrder:
        values: dict[str, Any] = {
            "order_id": b"\x11" * 32,
            "lock_ref": b"\x22" * 32,
            "issuer": ISSUER,
            "recipient": RECIPIENT,
            "units": 100,
            "deadline": NOW_MS // 1000 + 7200,
        }
        return TransferOrder(**{**values, **changes})

    return build


@pytest.fixture
def price() -> UnitPrice:
    return UnitPrice("HKD", 10_000, NOW_MS - 3_600_000)


@pytest.fixture
def identity_json() -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(IDENTITY))
    return copy


@pytest.fixture
def read_identity() -> Callable[[dict[str, Any]], IdentityPayload]:
    return lambda raw: parse_identity(json.dumps(raw).encode())


@pytest.fixture
def identity(identity_json: dict[str, Any], read_identity: Any) -> IdentityPayload:
    payload: IdentityPayload = read_identity(identity_json)
    return payload


@pytest.fixture
def list_json() -> dict[str, Any]:
    return {
        "format": "lianqiao.sanctions.v1",
        "name": "TEST",
        "source": "made up",
        "as_of": "2026-11-16",
        "fetched": "2026-11-17",
        "evidence": "RUN",
        "sample": False,
        "entries": [{"chain": "eip155:1", "address": "0x" + "cc" * 20, "program": "P-1"}],
    }


@pytest.fixture
def sanctions(list_json: dict[str, Any]) -> SanctionsList:
    return load_sanctions(json.dumps(list_json).encode(), NOW_MS)


@pytest.fixture
def transfer_context(order: Any, price: Any, identity: Any, sanctions: Any) -> Callable[..., TransferContext]:
    def build(**changes: Any) -> TransferContext:
        values: dict[str, Any] = {
            "order": order(),
            "price": price,
            "identity": identity,
            "lists": (sanctions,),
            "screening": ScreeningSettings(max_age_days=7),
            "rules": transfer_gate.default_rules(),
            "now_ms": NOW_MS,
        }
        return TransferContext(**{**values, **changes})

    return build
