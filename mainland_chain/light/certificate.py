"""Verification of one quorum certificate. The same refusals, in the same order, as the Solidity light client."""

from __future__ import annotations

from mainland_chain.crypto import sm2
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.types import Checkpoint, QuorumCertificate, ValidatorSet

ZERO = bytes(32)


def verify_certificate(checkpoint: Checkpoint, certificate: QuorumCertificate, validators: ValidatorSet) -> None:
    """Raise `VerificationError` unless a quorum of `validators` signed `checkpoint`.

    Plan: (1) chain and epoch are those of the set; (2) no zero root or header; (3) the bitmap stays inside the set and reaches the
    quorum; (4) exactly one 64-byte signature per bit; (5) every signature verifies under the key of its bit.
    """
    subject = f"checkpoint {checkpoint.height}"
    if checkpoint.chain_id != validators.chain_id:
        raise VerificationError("WRONG_CHAIN", "the checkpoint is of another ledger", subject=subject)
    if checkpoint.epoch != validators.epoch:
        raise VerificationError(
            "WRONG_EPOCH", f"epoch {checkpoint.epoch} is not the set's epoch {validators.epoch}", subject=subject
        )
    if checkpoint.height == 0:
        raise VerificationError("ZERO_HEIGHT", "heights start at 1", subject=subject)
    if ZERO in (checkpoint.log_root, checkpoint.header_hash, checkpoint.next_validators_hash):
        raise VerificationError("ZERO_ROOT", "a zero root, header or set hash is never valid", subject=subject)
    size = len(validators.members)
    if certificate.bitmap < 0 or certificate.bitmap >> size:
        raise VerificationError("SIGNER_OUTSIDE_SET", f"the bitmap names a member beyond {size}", subject=subject)
    signers = [i for i in range(size) if certificate.bitmap >> i & 1]
    if len(signers) < validators.quorum:
        raise VerificationError(
            "NO_QUORUM", f"{len(signers)} of {size} signed, {validators.quorum} are needed", subject=subject
        )
    if len(certificate.signatures) != len(signers):
        raise VerificationError(
            "SIGNATURE_COUNT", f"{len(signers)} bits but {len(certificate.signatures)} signatures", subject=subject
        )
    message = checkpoint.signing_message()
    for index, signature in zip(signers, certificate.signatures, strict=True):
        if not sm2.verify(validators.members[index].public_key, message, signature):
            raise VerificationError(
                "BAD_SIGNATURE", f"the signature of member {index} does not verify", subject=subject
            )
