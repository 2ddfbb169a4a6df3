"""The generated SM2 verifier, called directly: random, mutated, special and constructed signatures."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from evm_harness import Evm, Reverted, load_artifact
from mainland import CHECKPOINT_TAG, Deployment, bitmap_of, members
from sm2_reference import A, B, G, Key, N, P, add, multiply, verify_digest, word

from mainland_chain.crypto import sm2

STANDARD_KEY = Key(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)
Pair = tuple[int, int]


@dataclass
class Verifier:
    """SM2QuorumVerifier, or its variant without SM3 (`raw`), where a member's midstate is e itself."""

    deployment: Deployment
    raw: str

    @property
    def evm(self) -> Evm:
        return self.deployment.evm

    def entry(self, public: Pair) -> bytes:
        """A member as the light client passes it."""
        table = self.deployment.registry.transact("register", *public)
        return self.deployment.registry.keyOf(table)[0] + bytes.fromhex(table[2:])

    def query(self, digest: bytes, entries: list[bytes], bitmap: int, signatures: bytes, offset: int = -1) -> bytes:
        generator = bytes.fromhex(self.deployment.registry.generatorTable()[2:])
        start = 64 + 52 * len(entries) if offset < 0 else offset
        header = digest + generator + start.to_bytes(4, "big") + bitmap.to_bytes(8, "big")
        return header + b"".join(entries) + signatures

    def send(self, query: bytes, gas: int = 2**40, *, raw: bool = False) -> bool:
        try:
            output = self.evm.send(self.raw if raw else self.deployment.verifier, query, gas=gas)
        except Reverted:
            return False
        assert output == word(1)
        return True

    def accepts(self, digest: bytes, entries: list[bytes], bitmap: int, signatures: bytes) -> bool:
        return self.send(self.query(digest, entries, bitmap, signatures))

    def accepts_raw(self, public: Pair, e: int, r: int, s: int) -> bool:
        """One signature over a given e."""
        entry = word(e) + self.entry(public)[32:]
        return self.send(self.query(bytes(32), [entry], 1, word(r) + word(s)), raw=True)


@pytest.fixture
def verifier(deployment: Deployment) -> Verifier:
    return Verifier(deployment, deployment.evm.deploy_code(load_artifact("SM2QuorumVerifierRawDigest").bytecode))


def test_standard_signature(verifier: Verifier) -> None:
    """GB/T 32918.5-2017, A.2: key, nonce, e and signature of the standard."""
    e = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640
    r = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
    s = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
    nonce = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
    assert STANDARD_KEY.digest(b"message digest") == e
    assert STANDARD_KEY.sign_digest(e, nonce) == (r, s)
    assert verifier.accepts_raw(STANDARD_KEY.public, e, r, s)
    assert not verifier.accepts_raw(STANDARD_KEY.public, e ^ 1, r, s)
    # The standard's key and nonce over one of our messages, SM3 included.
    digest = bytes(range(32))
    r, s = STANDARD_KEY.sign_digest(STANDARD_KEY.digest(CHECKPOINT_TAG + digest), nonce)
    assert verifier.accepts(digest, [verifier.entry(STANDARD_KEY.public)], 1, word(r) + word(s))


def test_random_signatures_of_the_ledger(verifier: Verifier) -> None:
    """What the mainland's signing code makes, the contract accepts; both refuse the same mutations."""
    source = random.Random(2)
    keys = [sm2.PrivateKey(word(source.randrange(1, N - 1))) for _ in range(6)]
    public = [(int.from_bytes(k.public_key[:32], "big"), int.from_bytes(k.public_key[32:], "big")) for k in keys]
    entries = [verifier.entry(point) for point in public]
    for turn in range(150):
        i = turn % len(keys)
        digest = source.randbytes(32)
        signature = keys[i].sign(CHECKPOINT_TAG + digest)
        assert verifier.accepts(digest, [entries[i]], 1, signature)
        flipped = bytearray(signature)
        flipped[source.randrange(64)] ^= 1 << source.randrange(8)
        assert not sm2.verify(keys[i].public_key, CHECKPOINT_TAG + digest, bytes(flipped))
        assert not verifier.accepts(digest, [entries[i]], 1, bytes(flipped))


def test_every_mutation_is_refused(verifier: Verifier) -> None:
    source = random.Random(3)
    validators = members(4)
    entries = [verifier.entry(member.key.public) for member in validators]
    for turn in range(12):
        key, own, other = validators[turn % 4].key, entries[turn % 4], entries[(turn + 1) % 4]
        digest = source.randbytes(32)
        good = key.sign(CHECKPOINT_TAG + digest)
        r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
        assert verifier.accepts(digest, [own], 1, good)
        pairs = [(0, s), (r, 0), (N, s), (r, N), (r, N - r), (r, N - s), (N - r, s), (s, r), (r ^ 1, s), (r, s ^ 1)]
        pairs += [(r + N, s)] * (r + N < 2**256) + [(r, s + N)] * (s + N < 2**256)
        for pair in pairs:
            assert not verifier.accepts(digest, [own], 1, word(pair[0]) + word(pair[1])), pair
        flipped_digest = bytes([digest[0] ^ 1]) + digest[1:]
        strange_tables = ("99" * 20, "00" * 19 + "04", verifier.deployment.verifier[2:])
        for what in (
            (flipped_digest, [own], 1, good),
            (digest, [other], 1, good),
            (digest, [other[:32] + own[32:]], 1, good),
            (digest, [own[:32] + other[32:]], 1, good),
            (digest, [bytes([own[0] ^ 1]) + own[1:]], 1, good),
            (digest, [own], 1, b""),
            (digest, [own], 1, good + good),
            (digest, [own], 1, good + b"\0"),
            (digest, [own], 1, good[:-1]),
            (digest, [own], 2, good),
            (digest, [own], 3, good),
            (digest, [own], 0, good),
            *((digest, [own[:32] + bytes.fromhex(table)], 1, good) for table in strange_tables),
        ):
            assert not verifier.accepts(*what), what
        assert not verifier.send(verifier.query(digest, [own], 1, good, offset=115))


def test_a_silent_table_does_not_inherit_points(verifier: Verifier) -> None:
    """Where a table does not answer, the points of the signer before still lie in memory."""
    key = members(1)[0].key
    own = verifier.entry(key.public)
    digest = bytes(range(32))
    good = key.sign(CHECKPOINT_TAG + digest)
    assert verifier.accepts(digest, [own, own], 3, good + good)
    assert not verifier.accepts(digest, [own, own[:32] + b"\x99" * 20], 3, good + good)


def test_every_flipped_byte_of_a_query(verifier: Verifier) -> None:
    validators = members(3)
    entries = [verifier.entry(member.key.public) for member in validators]
    digest = bytes(range(32))
    signatures = b"".join(member.key.sign(CHECKPOINT_TAG + digest) for member in validators)
    query = verifier.query(digest, entries, 0b111, signatures)
    assert verifier.send(query)
    for position in range(len(query)):
        assert not verifier.send(query[:position] + bytes([query[position] ^ 0x01]) + query[position + 1 :]), position


def test_quorums_of_every_size(verifier: Verifier) -> None:
    """Groups of four share one SM3 run: one bad signature in any position spoils the whole."""
    source = random.Random(4)
    validators = members(10)
    entries = [verifier.entry(member.key.public) for member in validators]
    for size in range(1, 11):
        digest = source.randbytes(32)
        chosen = sorted(source.sample(range(10), size))
        signatures = [validators[i].key.sign(CHECKPOINT_TAG + digest) for i in chosen]
        bitmap = bitmap_of(chosen)
        assert verifier.accepts(digest, entries, bitmap, b"".join(signatures))
        for bad in range(size):
            spoilt = list(signatures)
            spoilt[bad] = spoilt[bad][:63] + bytes([spoilt[bad][63] ^ 1])
            assert not verifier.accepts(digest, entries, bitmap, b"".join(spoilt)), (size, bad)
        if size > 1:
            swapped = [signatures[1], signatures[0], *signatures[2:]]
            assert not verifier.accepts(digest, entries, bitmap, b"".join(swapped))
            assert not verifier.accepts(digest, entries, bitmap, signatures[0] * size)
        for absent in set(range(10)) - set(chosen):
            assert not verifier.accepts(digest, entries, bitmap | 1 << absent, b"".join(signatures))


def test_too_little_gas_is_never_acceptance(verifier: Verifier) -> None:
    """A table call that runs out of gas must fail the whole."""
    validators = members(2)
    entries = [verifier.entry(member.key.public) for member in validators]
    digest = bytes(range(32))
    good = b"".join(member.key.sign(CHECKPOINT_TAG + digest) for member in validators)
    bad = b"".join(member.key.sign(CHECKPOINT_TAG + bytes(32)) for member in validators)
    steps = range(30_000, 150_000, 499)
    accepted = [gas for gas in steps if verifier.send(verifier.query(digest, entries, 3, good), gas)]
    assert accepted == [gas for gas in steps if gas >= accepted[0]]
    assert not any(verifier.send(verifier.query(digest, entries, 3, bad), gas) for gas in steps)


SPECIAL_KEYS = [2, 3, N - 3, 2**16, 2**32, 2**224, 2**240, N - 2**16, pow(2, -1, N), pow(2**16, -1, N), (N - 1) // 2]


@pytest.mark.parametrize("d", SPECIAL_KEYS, ids=hex)
def test_special_keys_agree_with_the_reference(verifier: Verifier, d: int) -> None:
    """Additions are incomplete: where points coincide the answer may be a refusal, but never an acceptance."""
    key = Key(d)
    source = random.Random(d)
    try:
        verifier.entry(key.public)
    except Reverted:
        pytest.skip("this key's table cannot be built")
    for turn in range(6):
        e = source.randrange(2**256)
        r, s = key.sign_digest(e % N, k=turn + 1 if turn < 3 else None)
        assert verifier.accepts_raw(key.public, e % N, r, s)
        if e % N + N < 2**256:  # e is taken mod n
            assert verifier.accepts_raw(key.public, e % N + N, r, s)
        # s*G + t*P = infinity, whatever e.
        r = source.randrange(1, N)
        s = -r * d * pow(1 + d, -1, N) % N
        for wrong in (r, 0, e):
            assert not verifier.accepts_raw(key.public, wrong, r, s)
    for scalar in (1, 2, N - 1, N - 2, 1 << 32):
        other = source.randrange(1, N)
        for s, t in ((scalar, other), (other, scalar)):
            r = (t - s) % N
            point = add(multiply(s, G), multiply(t, key.public))
            if r and point is not None:
                e = (r - point[0]) % N
                assert verify_digest(key.public, e, r, s)
                assert verifier.accepts_raw(key.public, e, r, s)
                assert not verifier.accepts_raw(key.public, (e + 1) % N, r, s)


def _solve(public: Pair, s: int, t: int) -> int:
    """The e for which r = t - s satisfies the equation."""
    point = add(multiply(s % N, G), multiply(t % N, public))
    assert point is not None
    return (t - s - point[0]) % N


def test_ranges_where_the_equation_holds(verifier: Verifier) -> None:
    """r, s and t outside 1..n-1 are refused even if everything else is right."""
    public = STANDARD_KEY.public
    small, other = 2**200 + 7, random.Random(8).randrange(N // 2, N)
    for s, t in ((other, (other + small) % N), (small, other)):
        r, e = (t - s) % N, _solve(public, s, t)
        assert verifier.accepts_raw(public, e, r, s)
        for wrong in ((r + N, s), (r, s + N), (r + N, s + N)):
            if max(wrong) < 2**256:
                assert not verifier.accepts_raw(public, e, *wrong)
    for s, t, why in ((other, other, "r = 0"), (0, other, "s = 0"), (other, 0, "t = 0")):
        assert not verifier.accepts_raw(public, _solve(public, s, t), (t - s) % N, s), why
        assert not verifier.accepts_raw(public, _solve(public, s, t), (t - s) % N or N, s or N), why


def _column(k: int, column: int) -> int:
    """Scalar of the comb entry that the multiplication by k adds for a column: eight signs, 32 bits apart."""
    odd, sign = (k, 1) if k & 1 else (N - k, -1)
    signs = odd >> 1 | 1 << 255
    rows = sum((1 if signs >> (32 * row + column) & 1 else -1) << (32 * row) for row in range(8))
    return sign * rows << (16 if column >= 16 else 0)


@pytest.mark.parametrize("side", [1, -1], ids=["equal", "opposite"])
def test_coinciding_points_are_refused(verifier: Verifier, side: int) -> None:
    """A key whose first comb entry equals the sum so far: the incomplete addition gives ZZ = 0, and X = 0 with it."""
    source = random.Random(9)
    for _ in range(4):
        s, t = source.randrange(1, N), source.randrange(1, N)
        so_far = _column(s, 15) + _column(s, 31)
        key = Key(side * so_far * pow(_column(t, 15), -1, N) % N)
        for e in (_solve(key.public, s, t), 0, source.randrange(N)):
            assert not verifier.accepts_raw(key.public, e, (t - s) % N, s)
        # The same key is fine elsewhere.
        e = source.randrange(N)
        assert verifier.accepts_raw(key.public, e, *key.sign_digest(e))


def test_generator_as_key_is_never_wrongly_accepted(verifier: Verifier) -> None:
    key = Key(1)
    source = random.Random(5)
    for _ in range(20):
        e, r, s = (source.randrange(1, N) for _ in range(3))
        assert not verifier.accepts_raw(key.public, e, r, s)


def test_x_beyond_the_order(verifier: Verifier) -> None:
    """x1 in [n, p): out of a signer's reach (2^-32 per point), so the key is built around the point."""
    source = random.Random(6)
    found, x = 0, N
    while found < 4:
        x += source.randrange(1, 2**64)
        square = (x**3 + A * x + B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P != square:
            continue
        s, t = source.randrange(1, N), source.randrange(1, N)
        r = (t - s) % N
        base = multiply(s, G)
        assert base is not None
        public = multiply(pow(t, -1, N), add((x, y), (base[0], P - base[1])))
        assert public is not None
        e = (r - x) % N
        assert verify_digest(public, e, r, s)
        assert verifier.accepts_raw(public, e, r, s)
        assert not verifier.accepts_raw(public, (e + 1) % N, r, s)
        assert not verifier.accepts_raw(public, e, r, s + 1)
        found += 1
