"""Identity payloads of the demonstration: made-up persons in IVMS101.2023 form. They stay in Hong Kong."""

from __future__ import annotations

import json

_ISSUER_NAME = {"legalPersonName": "Harbour Sun Issuance Limited", "legalPersonNameIdentifierType": "LEGL"}
_BANK_NAME = {"legalPersonName": "Victoria Custody Limited", "legalPersonNameIdentifierType": "LEGL"}


def identity_payload(primary: str, secondary: str, born: str, account: str) -> bytes:
    """Payload for a transfer from the issuer to one investor; `born` is YYYY-MM-DD, `account` the recipient's address."""
    investor = {
        "name": {
            "nameIdentifier": [
                {
                    "primaryIdentifier": primary,
                    "secondaryIdentifier": secondary,
                    "naturalPersonNameIdentifierType": "LEGL",
                }
            ]
        },
        "dateAndPlaceOfBirth": {"dateOfBirth": born, "placeOfBirth": "Hong Kong"},
        "countryOfResidence": "HK",
    }
    issuer = {
        "name": {"nameIdentifier": [_ISSUER_NAME]},
        "geographicAddress": [
            {"addressType": "GEOG", "addressLine": ["1 Example Street"], "townName": "Hong Kong", "country": "HK"}
        ],
        "nationalIdentification": {
            "nationalIdentifier": "213800WSGIIZCXF1P572",
            "nationalIdentifierType": "LEIX",
        },
    }
    document = {
        "payloadMetadata": {"payloadVersion": "101.2023"},
        "originator": {"originatorPerson": [{"legalPerson": issuer, "accountNumber": ["ISSUER-0001"]}]},
        "beneficiary": {"beneficiaryPerson": [{"naturalPerson": investor, "accountNumber": [account]}]},
        "originatingVASP": {"originatingVASP": {"legalPerson": {"name": {"nameIdentifier": [_ISSUER_NAME]}}}},
        "beneficiaryVASP": {"beneficiaryVASP": {"legalPerson": {"name": {"nameIdentifier": [_BANK_NAME]}}}},
    }
    return json.dumps(document).encode()
