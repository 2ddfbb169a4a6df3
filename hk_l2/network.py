"""Network profiles: what to know of an L2 before sending anything. Data in `networks/*.toml`, checked here."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hk_l2.errors import NetworkProfileInvalid
from lianqiao_base.errors import NotFound


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImmediateRule(_Model):
    """A mined block is final: true of a single process, of nothing else."""

    kind: Literal["immediate"]


class DepthRule(_Model):
    """A block is final when `blocks` blocks follow it: a probabilistic or operator-bound promise."""

    kind: Literal["depth"]
    blocks: Annotated[int, Field(ge=1)]


class TagRule(_Model):
    """A block is final when the node's tag has reached it."""

    kind: Literal["tag"]
    tag: Literal["safe", "finalized"]


FinalityRule = Annotated[ImmediateRule | DepthRule | TagRule, Field(discriminator="kind")]


class GasRule(_Model):
    """How to price a transaction."""

    priority_fee_wei: Annotated[int, Field(ge=0)]
    base_fee_multiplier_percent: Annotated[int, Field(ge=100)] = 200
    """Room for a rising base fee, in per cent of the newest one."""
    max_fee_cap_wei: Annotated[int, Field(gt=0)]
    """Never pay more than this per gas; refuse and wait instead."""
    gas_margin_percent: Annotated[int, Field(ge=0)] = 20
    """Added to the estimate."""
    fixed_gas_limit: Annotated[int, Field(gt=0)] | None = None
    """Taken instead of an estimate, where estimating is slow and unused gas costs nothing."""


class NetworkProfile(_Model):
    """One network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    kind: Literal["embedded", "rpc"]
    chain_id: Annotated[int, Field(ge=1)]
    """A generic profile has none of its own: it is then given when loading."""
    gas_token: str
    finality: FinalityRule
    gas: GasRule
    sources: tuple[str, ...]
    """Where the figures come from."""
    uncertain: tuple[str, ...] = ()
    """What could not be confirmed; check before relying on it."""


def parse(text: str, *, chain_id: int | None = None) -> NetworkProfile:
    """Reads a profile; `chain_id` fills in what a generic profile leaves open."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NetworkProfileInvalid("PROFILE_INVALID", f"not TOML: {error}") from error
    given = document.get("chain_id")
    if given is not None and chain_id is not None and given != chain_id:
        raise NetworkProfileInvalid("PROFILE_INVALID", f"the profile is for chain {given}, not {chain_id}")
    if given is None and chain_id is not None:
        document["chain_id"] = chain_id
    for key in ("sources", "uncertain"):
        if isinstance(document.get(key), list):
            document[key] = tuple(document[key])
    try:
        return NetworkProfile.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise NetworkProfileInvalid("PROFILE_INVALID", problems, subject=str(document.get("name", ""))) from error


def load(name: str, *, chain_id: int | None = None) -> NetworkProfile:
    """A profile that is part of the package, for example `hashkey`."""
    if name not in names():
        raise NotFound("PROFILE_NOT_FOUND", f"no network profile {name!r}", hint=f"known: {', '.join(names())}")
    text = resources.files("hk_l2").joinpath("networks", f"{name}.toml").read_text(encoding="utf-8")
    return parse(text, chain_id=chain_id)


def load_file(path: Path, *, chain_id: int | None = None) -> NetworkProfile:
    """A profile of the operator's own."""
    return parse(path.read_text(encoding="utf-8"), chain_id=chain_id)


def names() -> tuple[str, ...]:
    """Profiles that are part of the package."""
    folder = resources.files("hk_l2").joinpath("networks")
    return tuple(sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml")))
