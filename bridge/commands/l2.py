"""`lianqiao l2`: deploy the contracts and look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from bridge.commands.output import (
    REJECTED_EXIT,
    console,
    json_option,
    live,
    print_json,
    print_rows,
    read_file,
    time_text,
)
from bridge.commands.secrets import passphrase_for
from lianqiao_base.errors import NotFound

if TYPE_CHECKING:
    from bridge.commands.solvency import Snapshot
    from hk_l2.manifest import Deployment, Step

_FILE = click.Path(path_type=Path, dir_okay=False)
config_option = click.option(
    "--config", type=_FILE, required=True, help="Deploy configuration (see `lianqiao deliver init`)."
)


@click.group()
def l2() -> None:
    """Deploy the Hong Kong contracts on an EVM layer 2, and check them.

    \b
    lianqiao l2 profiles
    lianqiao l2 deploy --config hong-kong/deploy.toml
    lianqiao l2 status --config hong-kong/deploy.toml
    """


@l2.command("profiles")
@json_option
def profiles(as_json: bool) -> None:
    """List the network profiles: finality rule, gas token, and what could not be confirmed.

    \b
    Example:
      lianqiao l2 profiles --json

    Next: name one in the [network] section of your configurations.
    """
    from hk_l2 import network
    from hk_l2.finality import describe

    out = console()
    document = []
    for name in network.names():
        generic = name.startswith("generic-")
        found = network.load(name, chain_id=1 if generic else None)
        document.append(
            {
                "name": name,
                "title": found.title,
                "chain_id": None if generic else found.chain_id,
                "finality": describe(found.finality),
                "gas_token": found.gas_token,
                "uncertain": list(found.uncertain),
            }
        )
        if not as_json:
            chain = "given in the configuration" if generic else str(found.chain_id)
            rows = [("chain id", chain), ("finality", describe(found.finality)), ("gas token", found.gas_token)]
            print_rows(out, f"{name}: {found.title}", [*rows, *(("uncertain", u) for u in found.uncertain)])
    if as_json:
        print_json(document)


@l2.command("deploy")
@config_option
@json_option
def deploy(config: Path, as_json: bool) -> None:
    """Deploy what is missing: key registry, light client, credentials, feed, controller, tokens, roles.

    The light client starts from the validators of the genesis in the configuration. Every step is noted in the manifest
    before it is sent: stopped at any instant, the same command goes on. At the end the deployer holds no right.

    \b
    Example:
      lianqiao l2 deploy --config hong-kong/deploy.toml

    Next: `lianqiao l2 status --config ...`, then `lianqiao deliver serve`.
    """
    from bridge.commands.deployment import DeployFile
    from hk_l2 import keys
    from hk_l2.deploy import Deployer
    from hk_l2.errors import InsufficientFunds
    from hk_l2.evm import connect
    from hk_l2.manifest import Deployment
    from hk_l2.txsender import TxSender
    from mainland_chain.light.genesis import Genesis

    found = DeployFile.load(config)
    profile = found.profile()
    genesis = Genesis.decode(read_file(found.genesis, "genesis"))
    account = keys.load(found.deployer.keystore, passphrase_for(found.deployer.keystore))
    sender = TxSender(connect(found.network.url), account, profile.chain_id, profile.gas)
    done: list[Step] = []
    with _progress(done, quiet=as_json) as progress:
        try:
            deployer = Deployer(sender, found.deploy_config(genesis), found.manifest, progress=progress)
            deployer.run()
            for token in found.tokens:
                deployer.deploy_token(token.config())
        except InsufficientFunds as error:
            raise InsufficientFunds(
                error.code,
                "the deployer cannot pay",
                subject=account.address,
                hint="fund this account and run deploy again; it goes on from here",
            ) from error
    deployment = Deployment.load(found.manifest)
    gas = sum(step.gas_used for step in done)
    if as_json:
        print_json({"steps_done": len(done), "gas_used": gas, **_addresses(deployment)})
        return
    out = console()
    print_rows(out, "Deployed", [(k.replace("_", " "), str(v)) for k, v in _flat(_addresses(deployment))])
    rows = [("steps in this run", str(len(done))), ("gas of this run", f"{gas:,}"), ("manifest", str(found.manifest))]
    print_rows(out, "Run", [*rows, ("next", f"lianqiao l2 status --config {config}")])


@l2.command("status")
@click.option("--config", type=_FILE, help="Deploy configuration.")
@click.option("--manifest", type=_FILE, help="Instead of --config: a deployment manifest, with --l2-url.")
@click.option("--l2-url", metavar="URL", help="A node to ask, instead of the configuration's.")
@json_option
@click.pass_context
def status(ctx: click.Context, config: Path | None, manifest: Path | None, l2_url: str | None, as_json: bool) -> None:
    """Show addresses, light client, pause, finality rule, and whether every token is backed.

    All values are read at one block. A lock balances when units = minted + mintable + redeemed + lapsed; a token is
    backed when its supply is the sum of what its asset's locks minted. Exit code 1 when either is broken.

    \b
    Examples:
      lianqiao l2 status --config hong-kong/deploy.toml
      lianqiao l2 status --manifest deployment.json --l2-url https://node.example --json
    """
    from bridge.commands.deployment import DeployFile
    from bridge.commands.solvency import read_snapshot
    from hk_l2.evm import connect
    from hk_l2.finality import describe
    from hk_l2.manifest import Deployment

    if config is not None:
        found = DeployFile.load(config)
        path, url = manifest or found.manifest, l2_url or found.network.url
        finality = describe(found.profile().finality)
    elif manifest is not None and l2_url is not None:
        path, url, finality = manifest, l2_url, "unknown: give --config, whose profile names it"
    else:
        raise click.UsageError("give --config, or --manifest with --l2-url")
    if not path.is_file():
        raise NotFound(
            "MANIFEST_NOT_FOUND", "nothing was deployed from here", subject=str(path), hint="lianqiao l2 deploy"
        )
    deployment = Deployment.load(path)
    snapshot = read_snapshot(connect(url), deployment)
    if as_json:
        print_json(_status_document(deployment, snapshot, finality))
    else:
        _print_status(deployment, snapshot, finality)
    if not snapshot.solvent:
        ctx.exit(REJECTED_EXIT)


@contextmanager
def _progress(done: list[Step], *, quiet: bool) -> Iterator[Any]:
    out = console()
    spinner = out.status("deploying") if live() and not quiet else None

    def step_done(step: Step) -> None:
        done.append(step)
        if quiet:
            return
        what = f"{step.name}  {step.address}" if step.code_hash else step.name
        out.print(Text(f"{step.gas_used:>11,} gas  {what}"), soft_wrap=True)

    if spinner is None:
        yield step_done
        return
    with spinner:
        yield step_done


def _addresses(deployment: Deployment) -> dict[str, Any]:
    return {
        "chain_id": deployment.chain_id,
        "light_client": deployment.light_client,
        "key_registry": deployment.key_registry,
        "mint_controller": deployment.mint_controller,
        "telemetry_feed": deployment.telemetry_feed,
        "credential_registry": deployment.credential_registry,
        "tokens": {asset_ref.hex(): address for asset_ref, address in deployment.tokens.items()},
    }


def _flat(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from ((f"token of {asset_ref[:12]}…", address) for asset_ref, address in value.items())
        else:
            yield key, value


def _status_document(deployment: Deployment, s: Snapshot, finality: str) -> dict[str, Any]:
    return {
        **_addresses(deployment),
        "block": {"number": s.block.number, "hash": s.block.hash, "timestamp": s.block.timestamp},
        "finality": finality,
        "ledger_chain_id": s.ledger,
        "light_client_head": {
            "epoch": s.head.epoch,
            "height": s.head.height,
            "time_ms": s.head.time_ms,
            "log_size": s.head.log_size,
        },
        "frozen": s.frozen,
        "paused": s.paused,
        "clearance_threshold": s.threshold,
        "locks": [
            {
                "lock_ref": lock.lock_ref,
                "asset_ref": lock.info.asset_ref,
                "units": lock.info.units,
                "minted": lock.info.minted,
                "mintable": lock.info.mintable,
                "redeemed": lock.info.redeemed,
                "lapsed": lock.info.lapsed,
                "balanced": lock.balanced,
            }
            for lock in s.locks
        ],
        "supply": [
            {
                "asset_ref": t.asset_ref,
                "token": t.address,
                "registered": t.registered,
                "supply": t.supply,
                "backed": t.backed,
            }
            for t in s.tokens
        ],
        "solvent": s.solvent,
    }


def _print_status(deployment: Deployment, s: Snapshot, finality: str) -> None:
    out = console()
    print_rows(out, "Contracts", [(k.replace("_", " "), str(v)) for k, v in _flat(_addresses(deployment))])
    head = "no checkpoint yet"
    if s.head.height:
        head = f"height {s.head.height}, {s.head.log_size} claims, {time_text(s.head.time_ms)}"
    rows = [
        ("read at block", f"{s.block.number} (0x{s.block.hash.hex()})"),
        ("ledger followed", s.ledger.hex()),
        ("light client", f"epoch {s.head.epoch}, {head}"),
        ("frozen", "YES: the ledger's quorum contradicted itself" if s.frozen else "no"),
        ("paused", "YES: minting and redeeming are stopped" if s.paused else "no"),
        ("clearance", f"{s.threshold} compliance signatures"),
        ("finality", finality),
    ]
    print_rows(out, "State", rows)
    locks = [
        (
            f"lock {lock.lock_ref.hex()[:12]}…",
            f"{i.units:,} = {i.minted:,} minted + {i.mintable:,} mintable + {i.redeemed:,} redeemed + {i.lapsed:,} lapsed"
            + ("" if lock.balanced else "   DOES NOT BALANCE"),
        )
        for lock in s.locks
        for i in (lock.info,)
    ]
    tokens = [
        (
            f"token {t.address}",
            f"supply {t.supply:,}, minted from locks {t.minted:,}, {'registered' if t.registered else 'not registered yet'}"
            + ("" if t.backed else "   NOT BACKED"),
        )
        for t in s.tokens
    ]
    verdict = "every token is backed by a lock" if s.solvent else "BROKEN: see above"
    if not s.locks and not s.tokens:
        verdict = "nothing is locked or minted yet"
    print_rows(out, "Solvency", [*locks, *tokens, ("verdict", verdict)])
