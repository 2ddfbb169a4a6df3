"""Configuration of an export process: one TOML file, checked here, read by `app` and the command line."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from compliance.export.model import CLAIM_KINDS, ConfiguredApprovals, ExportApproval
from lianqiao_base.errors import Rejected
from lianqiao_base.tls import TlsFiles

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PeerConfig(_Model):
    """A server, and our PEM files for mutual TLS with it."""

    target: Name
    certificate: Path
    private_key: Path
    authority: Path

    def files(self) -> TlsFiles:
        return TlsFiles(self.certificate, self.private_key, self.authority)


class LedgerPeerConfig(PeerConfig):
    """The ledger. `chain_id` is the SM3 hash of its genesis; anything else is refused."""

    chain_id: Hash


class KeyConfig(_Model):
    """An SM2 key in a keystore."""

    name: Name
    keystore: Path
    passphrase_file: Path


class GateConfig(KeyConfig):
    """The export gate in this process: its key, named by the policy, and its decisions."""

    store_url: Name
    lifetime_s: Annotated[int, Field(gt=0, le=86_400)] = 600
    """How long a signed decision can be used on the ledger."""


class ApprovalConfig(_Model):
    """One registered approval; the end is exclusive."""

    reference: Name
    claim_kinds: tuple[Name, ...]
    destinations: tuple[Hash, ...]
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    document_sha256: Hash

    @model_validator(mode="after")
    def _sensible(self) -> ApprovalConfig:
        unknown = set(self.claim_kinds) - CLAIM_KINDS
        if unknown:
            raise ValueError(f"no kinds of claim: {', '.join(sorted(unknown))}")
        if self.valid_from >= self.valid_until:
            raise ValueError("the approval ends before it begins")
        return self

    def approval(self) -> ExportApproval:
        return ExportApproval(
            self.reference,
            frozenset(self.claim_kinds),
            frozenset(bytes.fromhex(d) for d in self.destinations),
            _ms(self.valid_from),
            _ms(self.valid_until),
            bytes.fromhex(self.document_sha256),
        )


class ExportConfig(_Model):
    """Everything an export process needs."""

    store_url: Name
    policy: Path
    ledger: LedgerPeerConfig
    border: PeerConfig
    member: KeyConfig
    """The member of the ledger that asks; `name` is its id there and in the keystore."""
    gate: GateConfig
    approvals: tuple[ApprovalConfig, ...] = ()

    def register(self) -> ConfiguredApprovals:
        """Raises `Rejected("EXPORT_APPROVAL_DUPLICATE")`."""
        return ConfiguredApprovals(tuple(a.approval() for a in self.approvals))

    @classmethod
    def load(cls, path: Path) -> ExportConfig:
        """Read a TOML file; relative paths count from its folder. Raises `Rejected("CONFIG_INVALID")`, never with a value."""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.model_validate(_resolve(document, path.parent))
        except OSError as error:
            raise Rejected("CONFIG_INVALID", error.strerror or "cannot be read", subject=str(path)) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Rejected("CONFIG_INVALID", f"not TOML: {error}", subject=str(path)) from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise Rejected("CONFIG_INVALID", problems, subject=str(path)) from error


_PATHS = {"policy", "certificate", "private_key", "authority", "keystore", "passphrase_file"}


def _resolve(document: dict[str, object], folder: Path) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            out[key] = _resolve(value, folder)
        elif key in _PATHS and isinstance(value, str):
            out[key] = str(folder / value)
        else:
            out[key] = value
    return out


def _ms(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)
