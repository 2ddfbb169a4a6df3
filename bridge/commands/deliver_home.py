"""A development home of the Hong Kong side: keys, certificates, and two commented configurations that fit each other."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bridge.commands.secrets import BESIDE, write_secret
from hk_l2 import keys, network
from lianqiao_base.errors import AlreadyExists
from lianqiao_base.tls import Authority, fingerprint
from mainland_chain.light.genesis import Genesis

ACCOUNTS = ("deployer", "relayer", "signer-1", "signer-2", "admin", "guardian")
CLIENTS = ("bridge", "issuer")


@dataclass(frozen=True, slots=True)
class DeliverHome:
    """What was written."""

    folder: Path
    addresses: dict[str, str]

    @property
    def delivery_config(self) -> Path:
        return self.folder / "delivery.toml"

    @property
    def deploy_config(self) -> Path:
        return self.folder / "deploy.toml"


def write_home(
    folder: Path, genesis: Genesis, *, profile: str, chain_id: int | None, l2_url: str, listen: str
) -> DeliverHome:
    """Write everything into a folder that has no home yet. Raises `AlreadyExists("HOME_EXISTS")`, `NotFound` for a profile."""
    home = DeliverHome(folder, {})
    if home.delivery_config.exists():
        raise AlreadyExists("HOME_EXISTS", "there is a delivery home here already", subject=str(folder))
    network.load(profile, chain_id=chain_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = secrets.token_urlsafe(24)
    write_secret(folder / BESIDE, passphrase)
    for name in ACCOUNTS:
        account = keys.generate()
        keys.save(folder / f"{name}.json", account, passphrase)
        home.addresses[name] = account.address
    now = dt.datetime.now(dt.UTC)
    authority = Authority.create(folder / "tls", "Lianqiao border development CA", now)
    authority.issue("delivery", now)
    prints = {n: fingerprint(authority.issue(n, now).certificate.read_bytes()).hex() for n in CLIENTS}
    (folder / "genesis.json").write_bytes(genesis.canonical_bytes())
    sample = resources.files("compliance.transfer").joinpath("data/sanctions-sample.json").read_bytes()
    (folder / "sanctions-sample.json").write_bytes(sample)
    values = {
        "listen": listen,
        "chain": genesis.chain_id.hex(),
        "profile": profile,
        "chain_id": f"chain_id = {chain_id}" if chain_id is not None else "# chain_id = 1234   # for generic profiles",
        "url": l2_url,
        "store": (folder.resolve() / "delivery.sqlite3").as_posix(),
        "decisions": (folder.resolve() / "decisions.sqlite3").as_posix(),
        **{name.replace("-", "_"): address for name, address in home.addresses.items()},
        **prints,
    }
    home.deploy_config.write_text(_DEPLOY.format(**values), "utf-8")
    # Last, so that a home that was cut off half-way is not taken for a whole one.
    home.delivery_config.write_text(_DELIVERY.format(**values), "utf-8")
    return home


_DELIVERY = """\
# A delivery node: takes packets from the mainland and orders from issuers, verifies both, mints. Relative paths count from here.
listen = "{listen}"
# The ledger's genesis and its chain id (SM3 of the genesis). Trust starts here: get both from a source of your own.
genesis = "genesis.json"
ledger_chain_id = "{chain}"
# SQLAlchemy URL; postgresql+psycopg://... for more than one machine. An absolute path, for it is taken as it is.
store_url = "sqlite:///{store}"

[tls]
certificate = "tls/delivery.pem"
private_key = "tls/delivery.key"
authority = "tls/ca.pem"
# SHA-256 fingerprints of client certificates (`lianqiao keys fingerprint FILE`).
bridge_clients = ["{bridge}"]
issuer_clients = ["{issuer}"]

[network]
# A profile of hk_l2/networks: it fixes the finality rule and the fees.
profile = "{profile}"
{chain_id}
url = "{url}"
# Written by `lianqiao l2 deploy`.
manifest = "deployment.json"
# Pays for transactions; has no role in any contract.
keystore = "relayer.json"
passphrase_file = "passphrase"

[gate]
# Travel Rule data and decisions: personal data lives in this store and nowhere else.
store_url = "sqlite:///{decisions}"
# Compliance signers. Development only: in production each signer has a machine and an organisation of its own.
signer_keystores = ["signer-1.json", "signer-2.json"]
passphrase_file = "passphrase"
# Made-up list for development; it screens nobody real. In production: a real list, a small age, and allow_sample_list = false.
sanctions_lists = ["sanctions-sample.json"]
list_max_age_days = 36500
allow_sample_list = true
clearance_lifetime_s = 3600
"""

_DEPLOY = """\
# What `lianqiao l2 deploy` deploys. Relative paths count from here. A changed configuration is another deployment.
genesis = "genesis.json"
manifest = "deployment.json"
telemetry_max_age_s = 259200   # how old the newest proven interval may be when tokens are minted

[network]
profile = "{profile}"
{chain_id}
url = "{url}"

[deployer]
# Needs funds; gives up every right at the end. The passphrase: LIANQIAO_PASSPHRASE_FILE, or `passphrase` beside the keystore.
keystore = "deployer.json"

[compliance]
signers = ["{signer_1}", "{signer_2}"]
threshold = 2

# Development only: two accounts hold everything. Guardian and resumer must always differ.
[roles]
admin = "{admin}"
guardian = "{guardian}"
resumer = "{admin}"
asset_admin = "{admin}"
compliance_admin = "{admin}"
credential_issuer = "{admin}"
credential_revoker = "{admin}"
feed_admin = "{admin}"
token_pauser = "{guardian}"
token_freezer = "{guardian}"
token_enforcer = "{guardian}"
token_rules = "{admin}"

# One section for each token; add them later and run deploy again. The asset administrator registers it once the asset is proven.
# [[tokens]]
# asset_ref = "<32 bytes hex, from the asset's claim>"
# name = "Roof 1 Revenue Right"
# symbol = "ROOF1"
# min_investor_class = 0
# max_holding = 0
"""
