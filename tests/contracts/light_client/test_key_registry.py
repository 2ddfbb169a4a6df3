"""SM3 and the key registry against the integer reference."""

from __future__ import annotations

import random

import pytest
from evm_harness import Contract, Evm, Reverted
from mainland import CHECKPOINT_TAG, Deployment
from sm2_reference import SM3_IV, B, G, Key, N, P, Point, add, multiply, sm3, sm3_compress, user_hash, word

from mainland_chain.crypto import sm3 as ledger_sm3

HALF = (G[0], P - G[1])
STANDARD_KEY = Key(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)


def test_sm3_standard_vectors(evm: Evm) -> None:
    """GB/T 32905-2016, appendix A."""
    harness = evm.deploy("SM3Harness")
    abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    abcd = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    for message, expected in ((b"abc", abc), (b"abcd" * 16, abcd)):
        assert harness.hash(message).hex() == expected == sm3(message).hex()


def test_sm3_every_padding(evm: Evm) -> None:
    harness = evm.deploy("SM3Harness")
    source = random.Random(1)
    for length in [*range(130), 1000]:
        message = source.randbytes(length)
        assert harness.hash(message) == sm3(message) == ledger_sm3.sm3(message)


def test_reference_z_is_that_of_the_standard() -> None:
    """GB/T 32918.5-2017, A.2."""
    assert STANDARD_KEY.public[0] == 0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020
    z = "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
    assert user_hash(STANDARD_KEY.public).hex() == z


def test_registered_key(deployment: Deployment) -> None:
    table = deployment.registry.transact("register", *STANDARD_KEY.public)
    (event,) = deployment.evm.events()
    midstate = sm3_compress(SM3_IV, STANDARD_KEY.z + CHECKPOINT_TAG)
    assert deployment.registry.tableOf(*STANDARD_KEY.public) == table
    assert deployment.registry.keyOf(table) == (midstate, *STANDARD_KEY.public)
    assert deployment.registry.CHECKPOINT_TAG() == CHECKPOINT_TAG
    x, y = STANDARD_KEY.public
    assert event.values == {"table": table, "x": x, "y": y, "midstate": midstate}


def test_a_key_has_one_table(deployment: Deployment) -> None:
    first = deployment.registry.transact("register", *STANDARD_KEY.public)
    again = deployment.registry.transact("register", *STANDARD_KEY.public, sender="0x" + "22" * 20)
    assert again == first
    assert deployment.evm.events() == []
    negated = (STANDARD_KEY.public[0], P - STANDARD_KEY.public[1])
    assert deployment.registry.transact("register", *negated) != first


def test_unknown_key_and_table(deployment: Deployment) -> None:
    assert deployment.registry.keyOf(deployment.verifier) == (bytes(32), 0, 0)
    assert deployment.registry.keyOf(deployment.registry.generatorTable()) == (bytes(32), 0, 0)
    assert int(deployment.registry.tableOf(1, 2), 16) == 0


@pytest.mark.parametrize(
    "point",
    [(0, 0), (1, 1), (P, 0), (G[0], G[1] ^ 1), (G[0] + P, G[1]), (G[0], G[1] + P), (G[1], G[0])],
    ids=["zero", "one", "p", "other y", "x + p", "y + p", "swapped"],
)
def test_points_off_the_curve_are_refused(deployment: Deployment, point: tuple[int, int]) -> None:
    if max(point) >= 2**256:  # G's y + p does not fit: the largest multiple that does
        point = (point[0] % 2**256, point[1] % 2**256)
    with pytest.raises(Reverted) as caught:
        deployment.registry.transact("register", *point)
    assert (caught.value.name, caught.value.values) == ("NotOnCurve", point)


def _small_point() -> tuple[int, int]:
    """A point of the curve whose x also fits as x + p into 256 bits (p = 3 mod 4, so roots are powers)."""
    x = 1
    while True:
        right = (pow(x, 3, P) - 3 * x + B) % P
        y = pow(right, (P + 1) // 4, P)
        if y * y % P == right:
            return x, y
        x += 1


def test_a_second_spelling_of_a_point_is_refused(deployment: Deployment) -> None:
    """x + p is the same point modulo p: two tables for one key would be two votes for one organisation's key."""
    x, y = _small_point()
    assert x + P < 2**256
    with pytest.raises(Reverted) as caught:
        deployment.registry.transact("register", x + P, y)
    assert (caught.value.name, caught.value.values) == ("NotOnCurve", (x + P, y))
    assert int(deployment.registry.transact("register", x, y), 16) != 0


def _entry(public: tuple[int, int], index: int) -> Point:
    """Comb entry by definition: rows of 32 bits, the second table 16 columns further."""
    second, signs = divmod(index, 128)
    scalar = 1 << 224
    for row in range(7):
        scalar += (1 if signs >> row & 1 else -1) << (32 * row)
    return multiply((scalar << 16 * second) % N, public)


@pytest.mark.parametrize("owner", ["generator", "key"])
def test_tables_hold_the_comb(deployment: Deployment, owner: str) -> None:
    if owner == "generator":
        public, table = G, deployment.registry.generatorTable()
    else:
        public, table = STANDARD_KEY.public, deployment.registry.transact("register", *STANDARD_KEY.public)
    indices = bytes(random.Random(7).sample(range(256), 30)) + bytes([0, 255])
    output = deployment.evm.send(table, indices)
    assert len(output) == 64 * 32
    for position, index in enumerate(indices):
        point = _entry(public, index)
        assert point is not None
        assert output[64 * position :][:64] == word(P - point[0]) + word(point[1])


def test_reference_group_law() -> None:
    assert add(G, HALF) is None
    assert multiply(N, G) is None
    assert multiply(N - 1, G) == HALF


def test_registry_code_is_the_artifact(deployment: Deployment) -> None:
    """No immutables: every deployment has the same code hash, which the light client checks."""
    other: Contract = deployment.evm.deploy("SM2KeyRegistry")
    codes = {bytes(deployment.evm.revm.basic(c.address).code) for c in (other, deployment.registry)}
    assert len(codes) == 1
