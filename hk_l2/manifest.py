"""Deployment manifest: what was deployed where. One JSON file, rewritten whole after every step."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hk_l2.errors import DeploymentMismatch
from lianqiao_base.errors import NotFound

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is done: a contract, or a call (then `address` is the one called)."""

    name: str
    address: str
    tx_hash: str
    block_number: int
    gas_used: int
    code_hash: str = ""
    """Keccak of the deployed code; empty for calls."""


@dataclass(slots=True)
class Manifest:
    """Steps done so far on one chain, by name."""

    chain_id: int
    config_hash: str
    steps: dict[str, Step] = field(default_factory=dict)
    pending: dict[str, Any] | None = None
    """Step that was signed and may or may not have been sent: its name and the transaction."""

    def save(self, path: Path) -> None:
        """Replaces the file in one move, so that a crash leaves the old or the new one."""
        document = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "config_hash": self.config_hash,
            "steps": [asdict(step) for step in self.steps.values()],
            "pending": self.pending,
        }
        temporary = path.with_suffix(path.suffix + ".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Reads a manifest. Raises `NotFound`, `DeploymentMismatch`."""
        if not path.is_file():
            raise NotFound("MANIFEST_NOT_FOUND", "no deployment manifest", subject=str(path), hint="deploy first")
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise DeploymentMismatch("MANIFEST_FORMAT", f"format {document['format']}", subject=str(path))
            steps = [Step(**entry) for entry in document["steps"]]
            return cls(
                document["chain_id"], document["config_hash"], {step.name: step for step in steps}, document["pending"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentMismatch("MANIFEST_UNREADABLE", str(error), subject=str(path)) from error


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses of a finished deployment."""

    chain_id: int
    key_registry: str
    light_client: str
    credential_registry: str
    telemetry_feed: str
    mint_controller: str
    tokens: dict[bytes, str]
    """Token by asset reference."""
    first_block: int
    """No event of ours is older."""

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Deployment:
        """Addresses from a manifest; raises `DeploymentMismatch` when steps are missing."""
        steps = manifest.steps

        def address(name: str) -> str:
            if name not in steps:
                raise DeploymentMismatch("DEPLOYMENT_UNFINISHED", f"step {name} is missing", hint="run deploy again")
            return steps[name].address

        tokens = {
            bytes.fromhex(name.removeprefix("token:")): step.address
            for name, step in steps.items()
            if name.startswith("token:") and "." not in name
        }
        return cls(
            chain_id=manifest.chain_id,
            key_registry=address("SM2KeyRegistry"),
            light_client=address("MainlandLightClient"),
            credential_registry=address("CredentialRegistry"),
            telemetry_feed=address("TelemetryFeed"),
            mint_controller=address("MintController"),
            tokens=tokens,
            first_block=min((step.block_number for step in steps.values()), default=0),
        )

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Addresses from a manifest file."""
        return cls.from_manifest(Manifest.load(path))
