"""A ready-to-run development ledger in one folder: genesis, keys, certificates, configuration.

All keys of all organisations lie in one place here, which is what makes it a development ledger. In a consortium
each organisation keeps its own.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lianqiao_base.errors import AlreadyExists, NotFound
from lianqiao_base.passphrase import read_passphrase
from lianqiao_base.tls import Authority, TlsFiles, fingerprint
from mainland_chain.client import LedgerClient, RetryPolicy
from mainland_chain.config import LedgerConfig
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.light.genesis import Genesis, GenesisMember, GenesisOrganisation, GenesisValidator

SERVER_NAME = "ledger"
VALIDATOR_PREFIX = "validator."


@dataclass(frozen=True, slots=True)
class Founder:
    """One organisation and its first member. Core organisations validate."""

    organisation_id: str
    name: str
    role: str
    member_id: str


DEVELOPMENT_FOUNDERS = (
    Founder("originator", "Sunfield Power Co., Ltd. (development)", "core", "ops.originator"),
    Founder("broker", "Harbour Securities (development)", "core", "ops.broker"),
    Founder("custodian", "Custody Bank (development)", "core", "ops.custodian"),
    Founder("trustee", "Asset Trustee (development)", "core", "ops.trustee"),
    Founder("notary", "City Notary Office (development)", "credibility", "ops.notary"),
    Founder("regulator", "Securities Regulator (development)", "regulator", "ops.regulator"),
)


@dataclass(frozen=True, slots=True)
class LedgerHome:
    """Where everything of a development ledger lies."""

    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "config.toml"

    @property
    def genesis_path(self) -> Path:
        return self.folder / "genesis.json"

    @property
    def passphrase_path(self) -> Path:
        return self.folder / "passphrase"

    @property
    def validator_keystore(self) -> Path:
        return self.folder / "validators.keystore"

    @property
    def member_keystore(self) -> Path:
        return self.folder / "members.keystore"

    @property
    def tls(self) -> Authority:
        return Authority(self.folder / "tls")

    def config(self) -> LedgerConfig:
        return LedgerConfig.load(self.config_path)

    def genesis(self) -> Genesis:
        return Genesis.decode(self.genesis_path.read_bytes())

    def member_tls(self, member_id: str) -> TlsFiles:
        """The member's certificate. Raises `NotFound("MEMBER_NOT_HERE")`."""
        files = self.tls.files(member_id)
        if not files.certificate.exists():
            raise NotFound("MEMBER_NOT_HERE", "this home has no certificate of the member", subject=member_id)
        return files

    def member_key(self, member_id: str) -> PrivateKey:
        """The member's SM2 key. Takes a moment: the keystore's key derivation is slow on purpose."""
        return self.open_members().private_key(member_id)

    def open_members(self) -> Keystore:
        return Keystore.open(self.member_keystore, self.passphrase())

    def passphrase(self) -> str:
        return read_passphrase(self.config().keys.passphrase_file)

    def client(self, member_id: str, *, target: str | None = None, retry: RetryPolicy | None = None) -> LedgerClient:
        """A connection as `member_id`, to the configured address unless `target` says otherwise."""
        return LedgerClient(target or self.config().server.listen, self.member_tls(member_id), retry=retry)


def init(
    folder: Path,
    *,
    now_ms: int,
    name: str = "lianqiao-development",
    listen: str = "127.0.0.1:7051",
    founders: Sequence[Founder] = DEVELOPMENT_FOUNDERS,
    passphrase: str | None = None,
    block_interval_ms: int = 200,
) -> LedgerHome:
    """Write a development home. A random passphrase is made unless one is given; it is stored beside the keystore,
    mode 0600.

    Raises `AlreadyExists("HOME_EXISTS")` when the folder has a configuration already.
    """
    home = LedgerHome(folder)
    if home.config_path.exists():
        raise AlreadyExists("HOME_EXISTS", "there is a ledger here already", subject=str(folder), hint="start it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = passphrase or secrets.token_urlsafe(24)
    _write_private(home.passphrase_path, secret + "\n")
    now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    authority = Authority.create(folder / "tls", f"{name} development CA", now)
    authority.issue(SERVER_NAME, now)
    validators = Keystore.create(home.validator_keystore, secret)
    members = Keystore.create(home.member_keystore, secret)
    genesis = Genesis.create(
        name,
        now_ms,
        [GenesisOrganisation(f.organisation_id, f.name, f.role) for f in founders],
        [_member(f, members, authority, now) for f in founders],
        [
            GenesisValidator(f.organisation_id, validators.generate(VALIDATOR_PREFIX + f.organisation_id).public_key)
            for f in founders
            if f.role == "core"
        ],
    )
    home.genesis_path.write_bytes(genesis.canonical_bytes())
    # Last, so that a home that was cut off half-way is not taken for a whole one.
    home.config_path.write_text(_CONFIG.format(listen=listen, interval=block_interval_ms), "utf-8")
    return home


def _member(founder: Founder, keys: Keystore, authority: Authority, now: dt.datetime) -> GenesisMember:
    certificate = authority.issue(founder.member_id, now).certificate
    return GenesisMember(
        member_id=founder.member_id,
        organisation_id=founder.organisation_id,
        role=founder.role,
        public_key=keys.generate(founder.member_id).public_key,
        qualification_reference="development",
        tls_fingerprint=fingerprint(certificate.read_bytes()),
    )


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


_CONFIG = """\
# A development ledger: one process holds all validators' keys (embedded engine, not fault tolerant).
genesis = "genesis.json"

[store]
path = "ledger.sqlite3"

[keys]
keystore = "validators.keystore"
passphrase_file = "passphrase"  # or the environment variable LIANQIAO_PASSPHRASE_FILE

[tls]
certificate = "tls/ledger.pem"
private_key = "tls/ledger.key"
authority = "tls/ca.pem"

[server]
listen = "{listen}"

[blocks]
interval_ms = {interval}

[log]
level = "INFO"
format = "text"
"""
