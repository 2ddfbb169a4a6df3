"""Configuration of a delivery process: one TOML file, checked here, read by `app` alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lianqiao_base.errors import Rejected

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsConfig(_Model):
    """PEM files of the server, and the clients it serves, by SHA-256 fingerprint of their certificates."""

    certificate: Path
    private_key: Path
    authority: Path
    bridge_clients: tuple[Fingerprint, ...]
    issuer_clients: tuple[Fingerprint, ...]


class NetworkConfig(_Model):
    """The L2: profile by name, node, deployment manifest, and the key that pays for transactions."""

    profile: str
    chain_id: int | None = None
    url: str
    manifest: Path
    keystore: Path
    passphrase_file: Path


class GateConfig(_Model):
    """The transfer gate in this process."""

    store_url: str
    signer_keystores: tuple[Path, ...]
    passphrase_file: Path
    sanctions_lists: tuple[Path, ...]
    list_max_age_days: Annotated[int, Field(ge=0)] = 7
    allow_sample_list: bool = False
    clearance_lifetime_s: Annotated[int, Field(gt=0)] = 3600


class DeliveryConfig(_Model):
    """Everything a delivery process needs."""

    listen: str = "127.0.0.1:7443"
    genesis: Path
    ledger_chain_id: Fingerprint
    """Chain id that the genesis document must have: trust starts here."""
    store_url: str
    tls: TlsConfig
    network: NetworkConfig
    gate: GateConfig

    @classmethod
    def load(cls, path: Path) -> DeliveryConfig:
        """Read a TOML file; relative paths count from its folder. Raises `Rejected("CONFIG_INVALID")`."""
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


_PATHS = {
    "genesis", "certificate", "private_key", "authority", "manifest", "keystore", "passphrase_file",
    "signer_keystores", "sanctions_lists",
}  # fmt: skip


def _resolve(document: dict[str, object], folder: Path) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            out[key] = _resolve(value, folder)
        elif key in _PATHS and isinstance(value, list):
            out[key] = [str(folder / str(item)) for item in value]
        elif key in _PATHS:
            out[key] = str(folder / str(value))
        else:
            out[key] = value
    return out
