"""A certificate with more signers than a quorum needs can be cut down to one, and no further."""

from __future__ import annotations

import pytest

from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.errors import VerificationError
from tests.support.world import World


def test_a_quorum_of_the_signers_is_enough_and_fewer_are_not() -> None:
    world = World()
    world.ok(world.asset())
    certified = world.certify()
    validators = world.app.validators
    assert certified.certificate.bitmap.bit_count() == 4
    trimmed = certified.certificate.trimmed(validators.quorum)
    assert trimmed.bitmap == 0b0111 and trimmed.signatures == certified.certificate.signatures[:3]
    verify_certificate(certified.checkpoint, trimmed, validators)
    with pytest.raises(VerificationError, match="NO_QUORUM"):
        verify_certificate(certified.checkpoint, certified.certificate.trimmed(validators.quorum - 1), validators)
    assert certified.certificate.trimmed(64) == certified.certificate
