"""A development home of the export side: gate key and a commented configuration that fits a ledger and a border."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from bridge.commands.secrets import BESIDE, write_secret
from lianqiao_base.errors import AlreadyExists
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.home import LedgerHome

GATE = "gate"


@dataclass(frozen=True, slots=True)
class ExportHome:
    """What was written."""

    config: Path
    gate_public_key: bytes


def write_home(folder: Path, ledger: LedgerHome, border: str, border_tls: Path, member: str) -> ExportHome:
    """Write gate key and `export.toml`. Raises `AlreadyExists("HOME_EXISTS")`, `NotFound("MEMBER_NOT_HERE")`."""
    config = folder / "export.toml"
    if config.exists():
        raise AlreadyExists("HOME_EXISTS", "there is an export home here already", subject=str(folder))
    files = ledger.member_tls(member)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = secrets.token_urlsafe(24)
    write_secret(folder / BESIDE, passphrase)
    gate = Keystore.create(folder / "gate.keystore", passphrase).generate(GATE)
    values = {
        "store": (folder.resolve() / "exports.sqlite3").as_posix(),
        "decisions": (folder.resolve() / "decisions.sqlite3").as_posix(),
        "target": ledger.config().server.listen,
        "chain": ledger.genesis().chain_id.hex(),
        "certificate": files.certificate.resolve().as_posix(),
        "private_key": files.private_key.resolve().as_posix(),
        "authority": files.authority.resolve().as_posix(),
        "member": member,
        "members": ledger.member_keystore.resolve().as_posix(),
        "passphrase": ledger.config().keys.passphrase_file.resolve().as_posix(),
        "border": border,
        "border_tls": border_tls.resolve().as_posix(),
    }
    # Last, so that a home that was cut off half-way is not taken for a whole one.
    config.write_text(_CONFIG.format(**values), "utf-8")
    return ExportHome(config, gate.public_key)


_CONFIG = """\
# An export process: asks the gate, requests claims on the ledger, proves them and hands them over. Relative paths count from here.
# SQLAlchemy URL of the job store; one export process for each. An absolute path, for it is taken as it is.
store_url = "sqlite:///{store}"
# The export policy in force, canonical JSON, mode 0600: it holds the pseudonym keys, and must be the one that was published.
policy = "policy.json"

[ledger]
target = "{target}"
# SM3 of the genesis: get it from a source of your own.
chain_id = "{chain}"
certificate = "{certificate}"
private_key = "{private_key}"
authority = "{authority}"

# The member that asks. Its organisation must own the records.
[member]
name = "{member}"
keystore = "{members}"
passphrase_file = "{passphrase}"

# Hong Kong's delivery node. It must name this certificate's fingerprint among its bridge_clients.
[border]
target = "{border}"
certificate = "{border_tls}/bridge.pem"
private_key = "{border_tls}/bridge.key"
authority = "{border_tls}/ca.pem"

# The export gate: the policy must name its public key. In production the compliance organisation keeps it, apart from the member's.
[gate]
name = "gate"
keystore = "gate.keystore"
passphrase_file = "passphrase"
# Decision records; never leaves the mainland.
store_url = "sqlite:///{decisions}"
lifetime_s = 600

# One section for each approval that the authorities gave; a request names one by its reference.
# [[approvals]]
# reference = "CAC-SC-2026-0001"
# claim_kinds = ["AssetClaim", "TelemetryClaim", "UnitLockClaim"]
# destinations = ["<32 bytes hex, of the policy>"]
# valid_from = 2026-01-01T00:00:00+08:00
# valid_until = 2027-01-01T00:00:00+08:00
# document_sha256 = "<SHA-256 of the approval's document>"
"""
