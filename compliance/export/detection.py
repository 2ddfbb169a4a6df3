"""Personal numbers in any text that would leave the mainland: resident IDs, credit codes, bank cards, mobile numbers.

Plan: (1) fold the text to a skeleton, character by character, so that spelling tricks (full-width and other scripts'
digits, Chinese numerals, look-alike letters, zero-width and combining characters) disappear; (2) cut it into chains of
letters and digits that only punctuation or space interrupts; (3) slide over each chain. Kinds with a checksum are
searched at every offset, kinds without one only between boundaries of the written groups, so that meter totals, times
and hashes do not raise false alarms.

Sources: GB 11643-1999 (resident ID), GB 32100-2015 with GB 11714-1997 inside (credit code), ISO/IEC 7812-1 (card
number, Luhn), the 1[3-9] mobile ranges of the national numbering plan. Check digits are those of python-stdnum. Its
USCC rule that the first eight characters are digits is not used: codes of farm cooperatives (N), the army (A) and
others (Y) begin with letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from lianqiao_base.errors import Rejected

MAX_SCAN_CHARS = 65_536
"""Longest text scanned; nothing longer has a reason to be exported."""


class PersonalDataKind(StrEnum):
    """What was found."""

    RESIDENT_ID = "resident_id"
    RESIDENT_ID_15 = "resident_id_15"
    CREDIT_CODE = "credit_code"
    BANK_CARD = "bank_card"
    MOBILE = "mobile"


@dataclass(frozen=True, slots=True)
class PersonalDataFinding:
    """One number found. `start`/`end` are offsets in the folded text (`fold(value)`), `masked` shows two characters and
    the length.

    `checksummed` tells whether a check digit vouches for it; without one it is a matter of form only.
    """

    kind: PersonalDataKind
    start: int
    end: int
    masked: str
    checksummed: bool


_LOOK_ALIKE = str.maketrans(
    "〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖貳參陸АВСЕНКМРТХХΑΒΕΗΚΜΝΡΤΧ×✕✖",
    "00123456789123456789236ABCEHKMPTXXABEHKMNPTXXXX",
)
_DASHES = frozenset("−~_ー﹣")
_PROVINCES = frozenset(
    {"11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44"}
    | {"45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "83"}
)
"""First two digits of a division code (GB/T 2260), with 81-83 for residence permits of Hong Kong, Macao and Taiwan
residents.
"""

_USCC_CHARS = frozenset("0123456789ABCDEFGHJKLMNPQRTUWXY")
_USCC_REGIONS = _PROVINCES | {"10"}
_USCC_AUTHORITIES = frozenset(
    {"11", "12", "13", "19", "21", "29", "31", "32", "33", "34", "35", "39", "41", "49", "51", "52", "53", "54", "55"}
    | {"59", "61", "62", "69", "71", "72", "79", "81", "89", "91", "92", "93", "A1", "A9", "N1", "N2", "N3", "N9", "Y1"}
)
"""Registering authority and category, the first two characters of a credit code (GB 32100-2015, table 1)."""

_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORG_CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HEX_LENGTHS = frozenset({32, 40, 64, 128})
_HEX = re.compile(r"(?<![0-9A-Z])(?:0X)?([0-9A-F]+)(?![0-9A-Z])")
_CHAIN = re.compile(r"[0-9A-Z]+(?:[^0-9A-Z\w]+[0-9A-Z]+)*")
_DIGITS = re.compile(r"[0-9]+")
_MOBILE = re.compile(r"(?:(?:00)?86)?(1[3-9][0-9]{9})")
_SOFT_GAP = re.compile(r"[ \-.()+]*")
_STRENGTH = {kind: rank for rank, kind in enumerate(PersonalDataKind)}


def fold(value: str) -> str:
    """The skeleton in which numbers are searched.

    NFKD (so that composed accents fall off too), upper case, digits of all scripts as 0-9, every space as one kind and
    every dash as one kind, look-alike letters as Latin ones; zero-width, format and combining characters removed.
    """
    folded: list[str] = []
    for char in unicodedata.normalize("NFKD", value).upper().translate(_LOOK_ALIKE):
        category = unicodedata.category(char)
        if category in {"Cf", "Mn", "Me"}:
            continue
        digit = unicodedata.digit(char, None)
        if digit is not None:
            folded.append(str(digit))
        elif category in {"Zs", "Zl", "Zp", "Cc"}:
            folded.append(" ")
        elif category in {"Pd", "Pc"} or char in _DASHES:
            folded.append("-")
        else:
            folded.append(char)
    return "".join(folded)


def scan(value: str) -> list[PersonalDataFinding]:
    """Personal numbers in `value`, by position; a weaker kind that lies within a stronger one is left out.

    Pure. Raises `Rejected("VALUE_TOO_LONG")` above `MAX_SCAN_CHARS`.
    """
    if len(value) > MAX_SCAN_CHARS:
        raise Rejected("VALUE_TOO_LONG", f"a value of {len(value)} characters is not scanned", hint="export less")
    text = fold(value)
    hashes = bytearray(len(text))
    for match in _HEX.finditer(text):
        if _looks_like_hash(match[1]):
            hashes[match.start() : match.end()] = b"\x01" * len(match[0])
    found: list[PersonalDataFinding] = []
    for match in _CHAIN.finditer(text):
        found.extend(_Chain(text, match.start(), match.end(), hashes).findings())
    found.sort(key=lambda item: (_STRENGTH[item.kind], item.start))
    kept: list[PersonalDataFinding] = []
    for item in found:
        if not any(item.start < other.end and other.start < item.end for other in kept):
            kept.append(item)
    return sorted(kept, key=lambda item: item.start)


def is_resident_id(window: str) -> bool:
    """GB 11643:

    province code, a real date from 1900 to 2099, and the ISO 7064 MOD 11-2 check character. `window` is folded.
    """
    if not (window[:17].isdecimal() and window[17] in "0123456789X" and window[:2] in _PROVINCES):
        return False
    if window[6:8] not in {"19", "20"} or ric.calc_check_digit(window) != window[17]:
        return False
    return _is_date(window)


def is_credit_code(window: str) -> bool:
    """GB 32100: registering authority, province code, alphabet and the MOD 31 check character. `window` is folded."""
    if window[:2] not in _USCC_AUTHORITIES or not window[2:8].isdecimal() or window[2:4] not in _USCC_REGIONS:
        return False
    return _USCC_CHARS.issuperset(window) and uscc.calc_check_digit(window[:17]) == window[17]


def _has_organisation_check(window: str) -> bool:
    """GB 11714: the ninth character of the organisation code inside a credit code checks its first eight."""
    total = sum(_ORG_CHARS.index(char) * weight for char, weight in zip(window[8:16], _ORG_WEIGHTS, strict=True))
    return window[16] == "0123456789X0"[11 - total % 11]


def is_bank_card(digits: str) -> bool:
    """ISO/IEC 7812: 16 to 19 digits of an issuer prefix in use in China (UnionPay 62 and 81, older domestic 9xxx, and
    the
    international schemes) with the Luhn check digit."""
    if not 16 <= len(digits) <= 19 or not luhn.is_valid(digits):
        return False
    four, six = int(digits[:4]), int(digits[:6])
    return (
        digits[:2] in {"62", "81", "51", "52", "53", "54", "55", "64", "65"}
        or digits[:4] in {"6011", "9558", "9559", "6013", "6014", "9843", "9400"}
        or 2221 <= four <= 2720
        or 3528 <= four <= 3589
        or (digits[0] == "4" and len(digits) == 16)
        or 998800 <= six <= 998802
    )


def _is_old_resident_id(digits: str) -> bool:
    return digits[:2] in _PROVINCES and _is_date(digits[:6] + "19" + digits[6:])


def _is_date(number: str) -> bool:
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return True


def _looks_like_hash(run: str) -> bool:
    return len(run) in _HEX_LENGTHS and not run.isdecimal()


class _Chain:
    """Letters and digits that only punctuation or space interrupts, with where each stands in the folded text."""

    def __init__(self, text: str, start: int, end: int, hashes: bytearray) -> None:
        self.text = text
        self.positions = [i for i in range(start, end) if text[i] in _ORG_CHARS]
        self.compact = "".join(text[i] for i in self.positions)
        size = len(self.positions)
        self.edges = {0, size} | {i for i in range(1, size) if self.positions[i] != self.positions[i - 1] + 1}
        self.hashes = hashes

    def findings(self) -> Iterator[PersonalDataFinding]:
        """All kinds, at every place."""
        for at in range(len(self.compact) - 17):
            window = self.compact[at : at + 18]
            if is_resident_id(window):
                yield self._finding(PersonalDataKind.RESIDENT_ID, at, 18)
            if is_credit_code(window) and (_has_organisation_check(window) or {at, at + 18} <= self.edges):
                yield self._finding(PersonalDataKind.CREDIT_CODE, at, 18)
        for run in _DIGITS.finditer(self.compact):
            yield from self._digits(run.start(), run.end())

    def _digits(self, start: int, end: int) -> Iterator[PersonalDataFinding]:
        edges = {start, end} | {i for i in self.edges if start < i < end}
        for at in range(start, end - 10):
            if self.hashes[self.positions[at]]:
                continue
            for length in (11, 13, 15):
                if {at, at + length} <= edges and self._soft(at, at + length):
                    if _MOBILE.fullmatch(self.compact, at, at + length):
                        yield self._finding(PersonalDataKind.MOBILE, at, length, checksummed=False)
                    if length == 15 and self._solid(at, 15) and _is_old_resident_id(self.compact[at : at + 15]):
                        yield self._finding(PersonalDataKind.RESIDENT_ID_15, at, 15, checksummed=False)
            for length in (16, 17, 18, 19):
                digits = self.compact[at : at + length]
                whole = {at, at + length} <= edges and self._soft(at, at + length)
                buried = length in {16, 19} and at + length <= end and digits[:2] == "62" and self._solid(at, length)
                if (whole or buried) and is_bank_card(digits):
                    yield self._finding(PersonalDataKind.BANK_CARD, at, length)

    def _finding(
        self, kind: PersonalDataKind, at: int, length: int, *, checksummed: bool = True
    ) -> PersonalDataFinding:
        masked = self.compact[at : at + 2] + "*" * (length - 2)
        return PersonalDataFinding(kind, self.positions[at], self.positions[at + length - 1] + 1, masked, checksummed)

    def _soft(self, start: int, end: int) -> bool:
        """Whether only spaces, dashes, dots and brackets stand between the digits."""
        places = self.positions[start:end]
        return all(_SOFT_GAP.fullmatch(self.text, a + 1, b) for a, b in pairwise(places) if b > a + 1)

    def _solid(self, start: int, length: int) -> bool:
        return self.positions[start + length - 1] - self.positions[start] == length - 1
