"""Network profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from hk_l2 import network
from hk_l2.errors import NetworkProfileInvalid
from lianqiao_base.errors import NotFound

CHAIN_IDS = {
    "anvil": 31337,
    "embedded": 131277322940537,
    "hashkey": 177,
    "hashkey-testnet": 133,
    "jovay": 5734951,
    "pharos": 1672,
}
MINIMAL = """
name = "x"
title = "X"
kind = "rpc"
chain_id = 5
gas_token = "ETH"
sources = []
[finality]
kind = "depth"
blocks = 1
[gas]
priority_fee_wei = 0
max_fee_cap_wei = 1
"""


def test_every_profile_loads_and_says_where_it_comes_from() -> None:
    assert set(network.names()) == {*CHAIN_IDS, "generic-op-stack"}
    for name, chain_id in CHAIN_IDS.items():
        profile = network.load(name)
        assert (profile.name, profile.chain_id) == (name, chain_id)
        assert profile.sources


def test_only_development_chains_are_immediate() -> None:
    for name in CHAIN_IDS:
        immediate = network.load(name).finality.kind == "immediate"
        assert immediate == (name in ("anvil", "embedded"))


def test_generic_profile_needs_a_chain_id() -> None:
    with pytest.raises(NetworkProfileInvalid, match="chain_id"):
        network.load("generic-op-stack")
    assert network.load("generic-op-stack", chain_id=10).chain_id == 10


def test_chain_id_cannot_be_overridden() -> None:
    with pytest.raises(NetworkProfileInvalid, match="chain 177, not 1"):
        network.load("hashkey", chain_id=1)


def test_unknown_profile() -> None:
    with pytest.raises(NotFound):
        network.load("../networks/hashkey")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "depth"', 'kind = "hope"'),
        ("blocks = 1", "blocks = 0"),
        ("blocks = 1", 'blocks = 1\ntag = "safe"'),
        ("chain_id = 5", "chain_id = 0"),
        ("chain_id = 5", 'chain_id = "5"'),
        ("priority_fee_wei = 0", "priority_fee_wei = -1"),
        ("max_fee_cap_wei = 1", "max_fee_cap_wei = 0"),
        ('title = "X"', 'title = "X"\nunknown = 1'),
        ('title = "X"', ""),
        ('name = "x"', 'name = "X Y"'),
        ("[gas]", "[gas"),
    ],
)
def test_faulty_profiles_are_refused(old: str, new: str) -> None:
    network.parse(MINIMAL)
    with pytest.raises(NetworkProfileInvalid):
        network.parse(MINIMAL.replace(old, new))


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    assert network.load_file(path) == network.parse(MINIMAL)
