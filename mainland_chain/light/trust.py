"""What a verifier of the mainland ledger may believe: a pinned genesis, the sets that took over, the newest checkpoint.

Pure: every step takes evidence and gives a new state or an error. A state never goes backwards, and once it has seen a
quorum contradict itself it believes nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lianqiao_base.errors import Fatal
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import Equivocation, VerificationError
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import CertifiedCheckpoint, Checkpoint, QuorumCertificate, Rotation, ValidatorSet

_EVIDENCE_BODY = 256


def encode_evidence(certified: CertifiedCheckpoint) -> bytes:
    """A certified checkpoint as evidence: the 256 bytes that are hashed, `u64 bitmap`, the signatures."""
    c, certificate = certified.checkpoint, certified.certificate
    words = b"".join(value.to_bytes(32, "big") for value in (c.epoch, c.height, c.time_ms, c.log_size))
    body = c.chain_id + words + c.log_root + c.header_hash + c.next_validators_hash
    return body + certificate.bitmap.to_bytes(8, "big") + b"".join(certificate.signatures)


def decode_evidence(data: bytes) -> CertifiedCheckpoint:
    """Inverse of `encode_evidence`. Raises `VerificationError("BAD_EVIDENCE")`."""
    if len(data) < _EVIDENCE_BODY + 8 or (len(data) - _EVIDENCE_BODY - 8) % 64:
        raise VerificationError("BAD_EVIDENCE", "not a certified checkpoint")
    words = [data[i : i + 32] for i in range(0, _EVIDENCE_BODY, 32)]
    epoch, height, time_ms, log_size = (int.from_bytes(word, "big") for word in words[1:5])
    signatures = tuple(data[i : i + 64] for i in range(_EVIDENCE_BODY + 8, len(data), 64))
    return CertifiedCheckpoint(
        Checkpoint(words[0], epoch, height, time_ms, log_size, words[5], words[6], words[7]),
        QuorumCertificate(int.from_bytes(data[_EVIDENCE_BODY : _EVIDENCE_BODY + 8], "big"), signatures),
    )


def contradict(first: Checkpoint, second: Checkpoint) -> bool:
    """Are these two different statements about one height of one epoch? Both must be certified to prove anything."""
    same = (first.chain_id, first.epoch, first.height) == (second.chain_id, second.epoch, second.height)
    return same and first.digest() != second.digest()


@dataclass(frozen=True, slots=True)
class TrustedState:
    """Immutable. `sets[e]` is the validator set of epoch e; the last one certifies the next checkpoint."""

    sets: tuple[ValidatorSet, ...]
    rotations: tuple[Rotation, ...] = ()
    """The rotation out of every epoch but the last."""
    head: CertifiedCheckpoint | None = None
    """The newest checkpoint seen, a rotation's included."""
    evidence: tuple[CertifiedCheckpoint, CertifiedCheckpoint] | None = None
    """Two certified checkpoints that contradict each other. Set: frozen for ever."""

    @classmethod
    def from_genesis(cls, genesis: Genesis) -> TrustedState:
        """Trust in the founding set of a genesis that the caller has pinned by its chain id."""
        return cls((genesis.validator_set(),))

    @classmethod
    def from_validators(cls, validators: ValidatorSet) -> TrustedState:
        """Trust in a pinned set of epoch 0. Raises `VerificationError("WRONG_EPOCH")` for another epoch."""
        if validators.epoch != 0:
            raise VerificationError("WRONG_EPOCH", "trust starts with the set of epoch 0")
        return cls((validators,))

    @property
    def chain_id(self) -> bytes:
        """The ledger, 32 bytes."""
        return self.sets[0].chain_id

    @property
    def validators(self) -> ValidatorSet:
        """The set that certifies the next checkpoint."""
        return self.sets[-1]

    @property
    def epoch(self) -> int:
        """Its epoch."""
        return len(self.sets) - 1

    @property
    def frozen(self) -> bool:
        """Whether an equivocation was seen."""
        return self.evidence is not None

    def at_genesis(self) -> TrustedState:
        """Trust in the same genesis and in nothing that came after it."""
        return TrustedState(self.sets[:1])

    def apply_checkpoint(self, certified: CertifiedCheckpoint) -> TrustedState:
        """Advance to a checkpoint of the current epoch that keeps the current set.

        Plan: (1) not frozen; (2) the certificate; (3) no contradiction, no rollback; (4) the set stays. The head itself
        again changes nothing. Raises `VerificationError` and, on proof that the quorum lied, `Equivocation`.
        """
        self.require_live()
        checkpoint = certified.checkpoint
        verify_certificate(checkpoint, certified.certificate, self.validators)
        if self._is_head(certified):
            return self
        if checkpoint.next_validators_hash != self.validators.hash:
            raise VerificationError(
                "ROTATION_MISSING",
                "the checkpoint hands over to another validator set, which was not given",
                subject=_name(checkpoint),
                hint="send the rotation, or a proof under a later checkpoint",
            )
        return replace(self, head=certified)

    def apply_rotation(self, rotation: Rotation) -> TrustedState:
        """Hand over to the set that the current one certified.

        Plan: (1) not frozen; (2) the outgoing set's certificate; (3) no contradiction, no rollback; (4) the incoming
        set is that of the next epoch and the one certified. Raises as `apply_checkpoint`.
        """
        self.require_live()
        checkpoint, incoming = rotation.certified.checkpoint, rotation.next_set
        verify_certificate(checkpoint, rotation.certified.certificate, self.validators)
        self._is_head(rotation.certified)
        if (incoming.chain_id, incoming.epoch) != (self.chain_id, self.epoch + 1):
            raise VerificationError(
                "WRONG_NEXT_EPOCH",
                f"epoch {incoming.epoch} does not follow epoch {self.epoch} of this ledger",
                subject=_name(checkpoint),
            )
        if checkpoint.next_validators_hash != incoming.hash:
            raise VerificationError(
                "NEXT_VALIDATORS_MISMATCH", "the certified set is not the one that was given", subject=_name(checkpoint)
            )
        return TrustedState((*self.sets, incoming), (*self.rotations, rotation), rotation.certified)

    def merge(self, other: TrustedState) -> TrustedState:
        """The more advanced of two states of one genesis, each followed by its own evidence.

        Raises `Equivocation` where their heads or rotations contradict each other, `VerificationError("FORKED_SETS")`
        where their sets differ.
        """
        self.require_live()
        other.require_live()
        for mine, theirs in zip(self.rotations, other.rotations, strict=False):
            refuse_contradiction(mine.certified, theirs.certified)
        if any(a.hash != b.hash for a, b in zip(self.sets, other.sets, strict=False)):
            raise VerificationError(
                "FORKED_SETS",
                "the rotations lead to another validator set than the one already trusted",
                hint="stop relaying; compare both chains of rotations with the ledger's members",
            )
        if self.head is not None and other.head is not None:
            refuse_contradiction(self.head, other.head)
        return max(self, other, key=lambda s: (s.epoch, s.head.checkpoint.height if s.head else 0))

    def freeze(self, first: CertifiedCheckpoint, second: CertifiedCheckpoint) -> TrustedState:
        """The frozen state, on proof: both must be certified by the known set of their epoch and contradict each other.

        Raises `VerificationError`, `NOT_EQUIVOCATION` among its codes.
        """
        if not contradict(first.checkpoint, second.checkpoint):
            raise VerificationError(
                "NOT_EQUIVOCATION", "the checkpoints do not contradict each other", subject=_name(first.checkpoint)
            )
        if first.checkpoint.epoch > self.epoch:
            raise VerificationError("WRONG_EPOCH", "no validator set is known for this epoch")
        for certified in (first, second):
            verify_certificate(certified.checkpoint, certified.certificate, self.sets[certified.checkpoint.epoch])
        return replace(self, evidence=(first, second))

    def require_live(self) -> None:
        """Raise `Fatal("CLIENT_FROZEN")` after an equivocation."""
        if self.evidence is not None:
            raise Fatal(
                "CLIENT_FROZEN",
                "a quorum certified two different checkpoints of one height",
                subject=_name(self.evidence[0].checkpoint),
                hint="nothing of this ledger is believed until its members have settled which history holds",
            )

    def _is_head(self, certified: CertifiedCheckpoint) -> bool:
        """Is this the head again? Raises when it contradicts the head or would take the state backwards."""
        if self.head is None:
            return False
        new, old = certified.checkpoint, self.head.checkpoint
        if new.digest() == old.digest():
            return True
        refuse_contradiction(self.head, certified)
        subject = _name(new)
        if new.height <= old.height:
            raise VerificationError("ROLLBACK", f"height {old.height} was already certified", subject=subject)
        if new.log_size < old.log_size:
            raise VerificationError("LOG_SHRANK", f"the log had {old.log_size} claims before", subject=subject)
        if new.log_size == old.log_size and new.log_root != old.log_root:
            raise VerificationError("LOG_ROOT_CHANGED", "the log kept its size but not its root", subject=subject)
        if new.time_ms < old.time_ms:
            raise VerificationError(
                "TIME_REVERSED", "the time lies before that of the last checkpoint", subject=subject
            )
        return False


def refuse_contradiction(first: CertifiedCheckpoint, second: CertifiedCheckpoint) -> None:
    """Raise `Equivocation` when two checkpoints, both already verified, contradict each other."""
    if contradict(first.checkpoint, second.checkpoint):
        raise Equivocation(encode_evidence(first), encode_evidence(second), first.checkpoint.height)


def _name(checkpoint: Checkpoint) -> str:
    return f"checkpoint {checkpoint.height}"
