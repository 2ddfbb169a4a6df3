"""Every reason for which the ledger refuses a transaction. The numbers are part of the results tree: never reuse one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from lianqiao_base.errors import PreconditionFailed, Rejected


class Refusal(IntEnum):
    OK = 0
    # envelope
    MALFORMED = 1
    WRONG_CHAIN = 2
    UNKNOWN_SIGNER = 3
    BAD_SIGNATURE = 4
    REPLAYED_NONCE = 5
    ROLE_NOT_ALLOWED = 6
    DUPLICATE_TRANSACTION = 7
    # governance
    BAD_IDENTIFIER = 20
    MEMBER_EXISTS = 21
    QUALIFICATION_MISSING = 22
    BAD_PUBLIC_KEY = 23
    KEY_IN_USE = 24
    NO_KEY_POSSESSION = 25
    TLS_IDENTITY_IN_USE = 26
    NOT_ENOUGH_APPROVALS = 27
    BAD_APPROVAL = 28
    ORGANISATION_MISMATCH = 29
    # policy
    POLICY_VERSION = 40
    POLICY_INTERVAL = 41
    POLICY_RULE = 42
    POLICY_DESTINATION = 43
    POLICY_GATE = 44
    # assets and devices
    ASSET_EXISTS = 60
    UNKNOWN_ASSET = 61
    NOT_THE_OWNER = 62
    UNKNOWN_PROFILE = 63
    BAD_VALUE = 64
    BAD_SEALED_FIELD = 65
    DEVICE_EXISTS = 66
    UNKNOWN_DEVICE = 67
    # telemetry
    EMPTY_BATCH = 80
    BATCH_TOO_LARGE = 81
    SIGNATURE_COUNT = 82
    BAD_DEVICE_SIGNATURE = 83
    SEQUENCE_NOT_INCREASING = 84
    TIME_NOT_INCREASING = 85
    TIME_IN_FUTURE = 86
    POWER_OUTSIDE_NAMEPLATE = 87
    ENERGY_OUTSIDE_NAMEPLATE = 88
    # locks
    DOUBLE_LOCK = 100
    UNITS_EXCEEDED = 101
    NO_UNITS = 102
    FILING_MISSING = 103
    LOCK_EXPIRED = 104
    BAD_ISSUER = 105
    # export
    NO_POLICY_IN_FORCE = 120
    DESTINATION_NOT_ALLOWED = 121
    UNKNOWN_GATE = 122
    BAD_DECISION = 123
    DECISION_MISMATCH = 124
    DECISION_NOT_ALLOW = 125
    DECISION_LAPSED = 126
    APPROVAL_LAPSED = 127
    RECORD_NAMED_TWICE = 128
    UNKNOWN_RECORD = 129
    WRONG_RECORD_TYPE = 130
    FIELD_NOT_ALLOWED = 131
    FIELD_NAMED_TWICE = 132
    INTERVAL_NOT_NEXT = 133
    MIXED_ASSETS = 134
    ALREADY_EXPORTED = 135
    WRONG_RECORD_COUNT = 136
    INTERVAL_TOO_SMALL = 137


class TransactionRefused(PreconditionFailed):
    """The ledger's typed refusal. `refusal` is the reason; nothing was written."""

    def __init__(
        self,
        refusal: Refusal,
        message: str,
        *,
        subject: str = "",
        hint: str = "",
        data: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(refusal.name, message, subject=subject, hint=hint, data=data)
        self.refusal = refusal


class MalformedTransaction(Rejected):
    """Bytes that are not a transaction at all; such bytes never enter a block."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(Refusal.MALFORMED.name, message, hint=hint)
        self.refusal = Refusal.MALFORMED
