"""Hand-over between validator sets, and the freeze on equivocation."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from evm_harness import Contract, Reverted
from mainland import CHAIN_ID, Checkpoint, Deployment, Ledger, Member, bitmap_of, members, set_hash, sign
from refusals import refused

ZERO = bytes(32)


def rotation(
    deployment: Deployment, ledger: Ledger, incoming: list[Member], signers: list[int] | None = None, **changes: Any
) -> tuple[Any, ...]:
    """Arguments of `updateAndRotate`."""
    changes.setdefault("next_validators_hash", set_hash(ledger.chain_id, ledger.epoch + 1, incoming))
    orgs = [member.org_id for member in incoming]
    return (*ledger.certified(signers, **changes), orgs, deployment.tables(incoming))


@pytest.fixture
def incoming() -> list[Member]:
    return members(7)


def test_rotation(client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]) -> None:
    arguments = rotation(deployment, ledger, incoming)
    client.transact("updateAndRotate", *arguments)
    names = [event.name for event in client.evm.events()]
    assert names == ["CheckpointAccepted", "ValidatorSetInstalled"]
    ledger.advance(arguments[:3])
    following = Ledger(incoming, epoch=1, height=ledger.height, log_size=ledger.log_size)
    assert client.head()[0] == 1
    assert client.rootOf(ledger.log_size) == ledger.log_root
    assert client.committee(1) == (following.hash, 5, tuple(deployment.tables(incoming)))
    assert client.committee(0)[0] == ledger.hash
    # The outgoing set has no say any more, under either epoch.
    refused(client, ledger.certified(), "WrongEpoch", 0, 1)
    stale = Ledger(ledger.validators, epoch=1, height=ledger.height, log_size=ledger.log_size)
    refused(client, stale.certified(next_validators_hash=following.hash), "QuorumNotReached", 3, 5)
    client.transact("update", *following.certified())
    assert client.head()[1] == following.height + 1
    # And back to a smaller set.
    following.advance(following.certified())
    client.transact("updateAndRotate", *rotation(deployment, following, members(1)))
    assert client.head()[0] == 2
    assert client.committee(2)[1] == 1


def test_only_the_outgoing_set_rotates(
    client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]
) -> None:
    values, bitmap, _, orgs, tables = rotation(deployment, ledger, incoming)
    by_incoming = sign(Checkpoint(*values), incoming, ledger.quorum)
    refused(client, (values, bitmap, by_incoming, orgs, tables), "InvalidCertificate", function="updateAndRotate")
    few = rotation(deployment, ledger, incoming, signers=[0, 1])
    refused(client, few, "QuorumNotReached", 2, 3, function="updateAndRotate")


def test_the_certified_set_is_the_one_installed(
    client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]
) -> None:
    good = rotation(deployment, ledger, incoming)
    expected = set_hash(CHAIN_ID, 1, incoming[:6])
    short = (*good[:3], good[3][:6], good[4][:6])
    refused(client, short, "NextValidatorsMismatch", good[0][7], expected, function="updateAndRotate")
    swapped = (*good[:4], [good[4][1], good[4][0], *good[4][2:]])
    refused(client, swapped, "NextValidatorsMismatch", function="updateAndRotate")
    other_org = (*good[:3], [*good[3][:-1], b"\xff" * 32], good[4])
    refused(client, other_org, "NextValidatorsMismatch", function="updateAndRotate")
    # Hashes of the right members for another epoch or ledger, and the current set's own.
    for wrong in (set_hash(CHAIN_ID, 2, incoming), set_hash(keccak(b"x"), 1, incoming), ledger.hash, ZERO):
        arguments = rotation(deployment, ledger, incoming, next_validators_hash=wrong)
        right = set_hash(CHAIN_ID, 1, incoming)
        refused(client, arguments, "NextValidatorsMismatch", wrong, right, function="updateAndRotate")


def test_members_of_a_set(client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]) -> None:
    values, bitmap, signatures, orgs, tables = rotation(deployment, ledger, incoming)

    def refuse(org_ids: list[bytes], key_tables: list[str], name: str, *error: Any) -> None:
        arguments = (values, bitmap, signatures, org_ids, key_tables)
        refused(client, arguments, name, *error, function="updateAndRotate")

    refuse([], [], "InvalidSetSize", 0)
    refuse([i.to_bytes(32, "big") for i in range(65)], tables * 9, "InvalidSetSize", 65)
    refuse(orgs, tables[:-1], "SetLengthMismatch", 7, 6)
    refuse(orgs[:-1], tables, "SetLengthMismatch", 6, 7)
    refuse([orgs[1], orgs[0], *orgs[2:]], tables, "OrgIdsNotIncreasing", 1)
    refuse([*orgs[:5], orgs[4], orgs[6]], tables, "OrgIdsNotIncreasing", 5)
    refuse(orgs, [*tables[:3], tables[0], *tables[4:]], "DuplicateKey", tables[0])
    generator = deployment.registry.generatorTable()
    for stranger in ("0x" + "99" * 20, generator, deployment.verifier, "0x" + "00" * 20):
        refuse(orgs, [*tables[:6], stranger], "UnregisteredKey", stranger.lower())


def test_log_in_a_rotation(client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]) -> None:
    """It may stand still, even empty; then its root must too."""
    empty = keccak(b"")
    still = rotation(deployment, ledger, incoming, log_size=0, log_root=empty)
    client.call("updateAndRotate", *still)
    wrong = rotation(deployment, ledger, incoming, log_size=0, log_root=keccak(b"?"))
    refused(client, wrong, "LogRootChanged", 0, keccak(b"?"), empty, function="updateAndRotate")
    first = ledger.certified()
    client.transact("update", *first)
    ledger.advance(first)
    client.call("updateAndRotate", *rotation(deployment, ledger, incoming, log_size=10, log_root=ledger.log_root))
    wrong = rotation(deployment, ledger, incoming, log_size=10, log_root=keccak(b"?"))
    refused(client, wrong, "LogRootChanged", 10, keccak(b"?"), ledger.log_root, function="updateAndRotate")
    shrunk = rotation(deployment, ledger, incoming, log_size=9)
    refused(client, shrunk, "StaleLogSize", 9, 10, function="updateAndRotate")
    stale = rotation(deployment, ledger, incoming, height=1)
    refused(client, stale, "StaleHeight", 1, 1, function="updateAndRotate")


def test_genesis_of_a_later_epoch(deployment: Deployment) -> None:
    ledger = Ledger(members(4), epoch=9)
    client = deployment.client(ledger)
    assert client.head()[0] == 9
    client.transact("update", *ledger.certified())
    with pytest.raises(Reverted) as caught:
        client.committee(0)
    assert caught.value.name == "UnknownEpoch"


def test_deployment_checks_the_code_it_trusts(deployment: Deployment, ledger: Ledger) -> None:
    orgs = [member.org_id for member in ledger.validators]
    rest = (CHAIN_ID, 0, orgs, deployment.tables(ledger.validators))
    registry, verifier = deployment.registry.address, deployment.verifier
    for pair, wrong in (
        ((verifier, verifier), verifier),
        ((registry, registry), registry),
        (("0x" + "99" * 20, verifier), "0x" + "99" * 20),
        ((registry, registry), registry),
    ):
        with pytest.raises(Reverted) as caught:
            deployment.evm.deploy("MainlandLightClient", *pair, *rest)
        assert caught.value.name == "UnexpectedCode"
        assert caught.value.values[0].lower() == wrong.lower()


def fork(ledger: Ledger, **changes: Any) -> tuple[Any, ...]:
    """Arguments of `reportEquivocation`: two different blocks at one height."""
    first = ledger.certified()
    changes.setdefault("log_root", keccak(b"fork"))
    return (*first, *ledger.certified(**changes))


def equivocation_refused(client: Contract, arguments: tuple[Any, ...], name: str) -> None:
    with pytest.raises(Reverted) as caught:
        client.transact("reportEquivocation", *arguments)
    assert caught.value.name == name
    assert not client.frozen()


def test_equivocation_freezes(client: Contract, deployment: Deployment, ledger: Ledger) -> None:
    accepted = ledger.certified(log_size=1, log_root=keccak(b"\0claim"))
    client.transact("update", *accepted)
    ledger.advance(accepted)
    assert client.verifyInclusion(b"claim", 0, 1, [])
    evidence = fork(ledger)
    client.transact("reportEquivocation", *evidence, sender="0x" + "55" * 20)
    (event,) = client.evm.events()
    digests = {"digestA": Checkpoint(*evidence[0]).digest, "digestB": Checkpoint(*evidence[3]).digest}
    assert event.name == "Frozen"
    assert event.values == {"epoch": 0, "height": 2, **digests}
    assert client.frozen()
    # Nothing is accepted or proved from here on; the history stays readable.
    refused(client, ledger.certified(), "ClientFrozen")
    refused(client, rotation(deployment, ledger, members(7)), "ClientFrozen", function="updateAndRotate")
    for function, arguments in (("verifyInclusion", (b"claim", 0, 1, [])), ("reportEquivocation", evidence)):
        with pytest.raises(Reverted) as caught:
            client.transact(function, *arguments)
        assert caught.value.name == "ClientFrozen"
    assert client.rootOf(1) == keccak(b"\0claim")
    assert client.head()[1] == 1


@pytest.mark.parametrize("field", ["time_ms", "log_size", "log_root", "header_hash", "next_validators_hash"])
def test_any_difference_at_one_height_counts(client: Contract, ledger: Ledger, field: str) -> None:
    value = 7 if field in ("time_ms", "log_size") else keccak(b"other")
    client.transact("reportEquivocation", *ledger.certified(), *ledger.certified([1, 2, 3], **{field: value}))
    assert client.frozen()


def test_equivocation_of_the_past(
    client: Contract, deployment: Deployment, ledger: Ledger, incoming: list[Member]
) -> None:
    """A retired set's contradictions still count, whatever height the client has reached."""
    before = Ledger(ledger.validators)
    client.transact("updateAndRotate", *rotation(deployment, ledger, incoming))
    client.transact("reportEquivocation", *fork(before))
    assert client.frozen()


def test_what_is_no_equivocation(client: Contract, ledger: Ledger) -> None:
    good = ledger.certified()
    equivocation_refused(client, (*good, *good), "NotEquivocation")
    # The same checkpoint, certified by others.
    equivocation_refused(client, (*good, *ledger.certified([1, 2, 3])), "NotEquivocation")
    equivocation_refused(client, fork(ledger, height=9), "NotEquivocation")
    equivocation_refused(client, fork(ledger, epoch=1), "NotEquivocation")
    other = keccak(b"another ledger")
    equivocation_refused(client, fork(ledger, chain_id=other), "WrongChain")
    equivocation_refused(client, (*ledger.certified(chain_id=other), *good), "WrongChain")
    elsewhere = Ledger(ledger.validators, chain_id=other)
    equivocation_refused(client, fork(elsewhere), "WrongChain")
    unknown = Ledger(ledger.validators, epoch=1)
    equivocation_refused(client, fork(unknown), "UnknownEpoch")


def test_both_sides_need_a_quorum(client: Contract, ledger: Ledger) -> None:
    evidence = fork(ledger)
    a, b = evidence[:3], evidence[3:]
    few = bitmap_of([0, 1])
    equivocation_refused(client, (*a, b[0], few, b[2][:128]), "QuorumNotReached")
    equivocation_refused(client, (a[0], few, a[2][:128], *b), "QuorumNotReached")
    equivocation_refused(client, (*a, b[0], b[1], a[2]), "InvalidCertificate")
    equivocation_refused(client, (a[0], a[1], b[2], *b), "InvalidCertificate")
    equivocation_refused(client, (*a, b[0], b[1] | 16, b[2]), "SignerOutsideSet")
    equivocation_refused(client, (*a, b[0], b[1], b[2] + b"\0"), "SignaturesLengthMismatch")
    outsiders = members(4, "outsider")
    forged = sign(Checkpoint(*b[0]), outsiders, [0, 1, 2])
    equivocation_refused(client, (*a, b[0], b[1], forged), "InvalidCertificate")
