"""The DER edge to libraries: one form for each signature, and nothing else is read."""

from __future__ import annotations

import pytest

from mainland_chain.crypto import _der, _recover

R, S = b"\x80" + bytes(31), bytes(31) + b"\x01"
DER = bytes.fromhex("3026022100" + R.hex() + "020101")


def test_known_form() -> None:
    assert _der.encode_signature(R + S) == DER
    assert _der.decode_signature(DER) == R + S


@pytest.mark.parametrize(
    "der",
    [
        b"",
        DER[:-1],
        DER + b"\0",
        b"\x31" + DER[1:],
        b"\x30\x27" + DER[2:] + b"\0",
        b"\x30\x81\x26" + DER[2:],  # BER long form of the length
        bytes.fromhex("3027022100" + R.hex() + "02020001"),  # padded integer
        bytes.fromhex("3025" + "0220" + R.hex() + "020101"),  # negative integer
        bytes.fromhex("3029022100" + R.hex() + "020101" + "020101"),  # a third integer
        bytes.fromhex("3026032100" + R.hex() + "020101"),  # another type
        bytes.fromhex("3027022201" + R.hex() + "00" + "020101"),  # too large for 32 bytes
        bytes.fromhex("3026022101" + R.hex() + "020101"),  # 33 significant bytes
        bytes.fromhex("3026020101" + "022101" + R.hex()),  # the same in s
        bytes.fromhex("30250221000000"),  # content beyond the end
        bytes.fromhex("3004020002" + "00"),  # integers without content
    ],
)
def test_other_forms_are_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="DER"):
        _der.decode_signature(der)


def test_signatures_that_disagree_determine_no_public_key() -> None:
    from mainland_chain.crypto import sm2

    keys = [sm2.PrivateKey.generate(), sm2.PrivateKey.generate()]
    turns = iter(keys)
    with pytest.raises(ValueError, match="do not determine"):
        _recover.public_key(lambda e: next(turns).sign_digest(e))
    assert _recover.public_key(keys[0].sign_digest) == keys[0].public_key
