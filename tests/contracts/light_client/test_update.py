"""MainlandLightClient.update: what it accepts, and one refusal for each check."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from evm_harness import Contract, Reverted
from mainland import CHAIN_ID, START_MS, Checkpoint, Deployment, Ledger, bitmap_of, members, sign
from merkle_reference import Tree
from refusals import refused

ZERO = bytes(32)


def test_genesis(client: Contract, ledger: Ledger, deployment: Deployment) -> None:
    assert client.chainId() == CHAIN_ID
    assert client.head() == (0, 0, 0, 0)
    assert not client.frozen()
    assert client.committee(0) == (ledger.hash, 3, tuple(map(str.lower, deployment.tables(ledger.validators))))
    assert client.rootOf(0) == keccak(b"")
    assert client.rootOf(1) == ZERO
    with pytest.raises(Reverted) as caught:
        client.committee(1)
    assert (caught.value.name, caught.value.values) == ("UnknownEpoch", (1,))


def test_update_is_accepted_and_remembered(client: Contract, ledger: Ledger) -> None:
    for _ in range(3):
        arguments = ledger.certified()
        client.transact("update", *arguments, sender="0x" + "77" * 20)
        (event,) = client.evm.events()
        ledger.advance(arguments)
        checkpoint = Checkpoint(*arguments[0])
        assert client.head() == (0, checkpoint.height, checkpoint.time_ms, checkpoint.log_size)
        assert client.rootOf(checkpoint.log_size) == checkpoint.log_root
        assert event.name == "CheckpointAccepted"
        assert event.values == {
            "height": checkpoint.height,
            "logSize": checkpoint.log_size,
            "epoch": 0,
            "timeMs": checkpoint.time_ms,
            "logRoot": checkpoint.log_root,
            "headerHash": checkpoint.header_hash,
        }
    assert client.rootOf(10) != ZERO  # history stays


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 10])
def test_quorum_is_more_than_two_thirds(deployment: Deployment, size: int) -> None:
    ledger = Ledger(members(size))
    client = deployment.client(ledger)
    quorum = 2 * size // 3 + 1
    assert client.committee(0)[1] == quorum
    last = list(range(size - quorum, size))
    for signers in (ledger.quorum, last, list(range(size))):
        client.call("update", *ledger.certified(signers))
    few = ledger.quorum[:-1]
    refused(client, ledger.certified(few), "QuorumNotReached", len(few), quorum)


def test_every_quorum_subset_of_four(client: Contract, ledger: Ledger) -> None:
    for bitmap in range(16):
        signers = [i for i in range(4) if bitmap >> i & 1]
        if len(signers) >= 3:
            client.call("update", *ledger.certified(signers))
        else:
            refused(client, ledger.certified(signers), "QuorumNotReached", len(signers), 3)


def test_bitmaps_beyond_the_set(client: Contract, ledger: Ledger) -> None:
    values, bitmap, signatures = ledger.certified()
    for position in (4, 5, 31, 32, 63):
        wrong = bitmap | 1 << position
        refused(client, (values, wrong, signatures), "SignerOutsideSet", wrong, 4)
        refused(client, (values, wrong, signatures + signatures[:64]), "SignerOutsideSet", wrong, 4)
    moved = bitmap << 2
    refused(client, (values, moved, signatures), "SignerOutsideSet", moved, 4)


def test_largest_set(deployment: Deployment) -> None:
    """64 members: the bitmap's last bit is a member."""
    ledger = Ledger(members(64))
    client = deployment.client(ledger)
    client.transact("update", *ledger.certified(list(range(64 - 43, 64))))
    assert client.head()[1] == 1


def test_signature_bytes_are_exact(client: Contract, ledger: Ledger) -> None:
    values, bitmap, signatures = ledger.certified()
    for wrong in (b"", signatures[:-1], signatures[:-64], signatures + b"\0", signatures + signatures[:64]):
        refused(client, (values, bitmap, wrong), "SignaturesLengthMismatch", len(wrong), 192)
    refused(client, (values, 0, b""), "QuorumNotReached", 0, 3)


def test_certificates_that_do_not_verify(client: Contract, ledger: Ledger) -> None:
    values, bitmap, signatures = ledger.certified()
    digest = Checkpoint(*values).digest
    first, second, third = (signatures[64 * i : 64 * i + 64] for i in range(3))
    outsiders = members(4, "outsider")
    checkpoint = Checkpoint(*values)
    for wrong in (
        second + first + third,
        first + first + third,
        first * 3,
        first + second + sign(checkpoint, ledger.validators, [3]),
        sign(checkpoint, outsiders, [0, 1, 2]),
        first + second + bytes(64),
    ):
        refused(client, (values, bitmap, wrong), "InvalidCertificate", digest)
    refused(client, (values, 0b1011, signatures), "InvalidCertificate", digest)
    for position in range(len(signatures)):
        flipped = signatures[:position] + bytes([signatures[position] ^ 0x80]) + signatures[position + 1 :]
        refused(client, (values, bitmap, flipped), "InvalidCertificate", digest)


FIELDS = ["chain_id", "epoch", "height", "time_ms", "log_size", "log_root", "header_hash", "next_validators_hash"]


@pytest.mark.parametrize("field", range(8), ids=FIELDS)
def test_every_field_is_signed(client: Contract, ledger: Ledger, field: int) -> None:
    values, bitmap, signatures = ledger.certified()
    value = values[field]
    changed = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    expected = {0: "WrongChain", 1: "WrongEpoch"}.get(field, "InvalidCertificate")
    refused(client, ((*values[:field], changed, *values[field + 1 :]), bitmap, signatures), expected)


def test_other_ledger_and_epoch(client: Contract, ledger: Ledger) -> None:
    """Properly signed, but for somewhere or somewhen else."""
    other = keccak(b"another ledger")
    refused(client, ledger.certified(chain_id=other), "WrongChain", other, CHAIN_ID)
    refused(client, ledger.certified(epoch=1), "WrongEpoch", 1, 0)


def test_zero_root_and_header(client: Contract, ledger: Ledger) -> None:
    refused(client, ledger.certified(log_root=ZERO), "ZeroLogRoot")
    refused(client, ledger.certified(header_hash=ZERO), "ZeroHeaderHash")


def test_next_validators_must_be_the_current_ones(client: Contract, ledger: Ledger) -> None:
    for wrong in (ZERO, keccak(b"other set")):
        arguments = ledger.certified(next_validators_hash=wrong)
        refused(client, arguments, "NextValidatorsMismatch", wrong, ledger.hash)


def test_never_goes_backwards(client: Contract, ledger: Ledger) -> None:
    first = ledger.certified(height=5)
    client.transact("update", *first)
    ledger.advance(first)
    time = START_MS + 5000
    refused(client, first, "StaleHeight", 5, 5)
    for height in (0, 4, 5):
        refused(client, ledger.certified(height=height, time_ms=time), "StaleHeight", height, 5)
    refused(client, ledger.certified(time_ms=time - 1), "TimeReversed", time - 1, time)
    for size in (0, 9, 10):
        refused(client, ledger.certified(log_size=size), "StaleLogSize", size, 10)
    # The smallest steps that count.
    client.transact("update", *ledger.certified(height=6, time_ms=time, log_size=11))
    assert client.head() == (0, 6, time, 11)


def test_height_zero_is_refused(client: Contract, ledger: Ledger) -> None:
    refused(client, ledger.certified(height=0), "StaleHeight", 0, 0)


def test_largest_values(client: Contract, ledger: Ledger) -> None:
    top = 2**64 - 1
    client.transact("update", *ledger.certified(height=top, time_ms=top, log_size=top))
    assert client.head() == (0, top, top, top)
    assert client.committee(0)[0] == ledger.hash  # neighbours of the packed fields are untouched


def test_dirty_calldata_is_refused(client: Contract, ledger: Ledger) -> None:
    """Numbers beyond 64 bits are not silently cut."""
    data = client.encode("update", *ledger.certified())
    for word in (1, 2, 3, 4, 8):
        start = 4 + 32 * word
        dirty = data[:start] + b"\x01" + data[start + 1 :]
        with pytest.raises(Reverted):
            client.evm.send(client.address, dirty)


def test_too_little_gas_is_never_acceptance(client: Contract, ledger: Ledger) -> None:
    values, bitmap, signatures = ledger.certified()
    bad = signatures[:-1] + bytes([signatures[-1] ^ 1])
    for gas in range(25_000, 260_000, 1_999):
        with pytest.raises(Reverted):
            client.call("update", values, bitmap, bad, gas=gas)
        try:
            client.call("update", values, bitmap, signatures, gas=gas)
        except Reverted:
            assert gas < 230_000
    assert client.head() == (0, 0, 0, 0)


def test_inclusion_under_every_accepted_root(client: Contract, ledger: Ledger) -> None:
    claims = [b"claim %d" % i for i in range(37)]
    tree = Tree([keccak(b"\0" + claim) for claim in claims])
    for size in (1, 8, 20, 37):
        arguments = ledger.certified(log_size=size, log_root=tree.root(size))
        client.transact("update", *arguments)
        ledger.advance(arguments)
    for size in (1, 8, 20, 37):
        for index in {0, size // 2, size - 1}:
            proof = tree.inclusion(index, size)
            assert client.verifyInclusion(claims[index], index, size, proof)
            assert not client.verifyInclusion(claims[index] + b"\0", index, size, proof)
            assert not client.verifyInclusion(claims[index], index + 1, size, proof)
            assert not client.verifyInclusion(claims[index], index, size, [*proof, bytes(32)])
    for unknown in (2, 36, 38):
        with pytest.raises(Reverted) as caught:
            client.verifyInclusion(claims[0], 0, unknown, [])
        assert (caught.value.name, caught.value.values) == ("UnknownLogSize", (unknown,))
    assert not client.verifyInclusion(b"", 0, 0, [])  # the empty log has a root, and proves nothing


def test_bitmap_of() -> None:
    assert bitmap_of([0, 2, 63]) == 1 | 4 | 1 << 63
