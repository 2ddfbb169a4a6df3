"""Valid numbers are found however they are spelled; the scanner never fails on any text."""

from __future__ import annotations

import datetime
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric, uscc

from compliance.export.detection import PersonalDataKind, fold, scan

PROVINCES = ["11", "31", "44", "45", "50", "65", "81"]
AUTHORITIES = ["11", "51", "52", "91", "92", "93", "N2", "Y1"]
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

digits = st.text("0123456789")


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    born = draw(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)))
    region = draw(st.sampled_from(PROVINCES)) + draw(st.text("0123456789", min_size=4, max_size=4))
    body = region + born.strftime("%Y%m%d").zfill(8) + draw(st.text("0123456789", min_size=3, max_size=3))
    return body + ric.calc_check_digit(body + "0")


@st.composite
def credit_codes(draw: st.DrawFn) -> str:
    region = draw(st.sampled_from(PROVINCES)) + draw(st.text("0123456789", min_size=4, max_size=4))
    organisation = draw(st.text(USCC_ALPHABET, min_size=8, max_size=8))
    values = ["0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(char) for char in organisation]
    check = "0123456789X0"[11 - sum(v * w for v, w in zip(values, ORG_WEIGHTS, strict=True)) % 11]
    body = draw(st.sampled_from(AUTHORITIES)) + region + organisation + check
    return body + uscc.calc_check_digit(body)


@st.composite
def bank_cards(draw: st.DrawFn) -> str:
    length = draw(st.integers(16, 19))
    body = "62" + draw(st.text("0123456789", min_size=length - 3, max_size=length - 3))
    return body + luhn.calc_check_digit(body)


@st.composite
def mobiles(draw: st.DrawFn) -> str:
    return "1" + draw(st.sampled_from("3456789")) + draw(st.text("0123456789", min_size=9, max_size=9))


ALTERNATIVES = {
    **{
        str(i): [str(i), chr(0xFF10 + i), chr(0x0660 + i), "零一二三四五六七八九"[i], chr(0x1D7CE + i)]
        for i in range(10)
    },
    **{chr(c): [chr(c), chr(c).lower(), chr(0xFF21 + c - 65), chr(0xFF41 + c - 65)] for c in range(65, 91)},
}
INVISIBLE = ["", "", "", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u0301", "\ufe0f", "\u2060"]
GAPS = ["", "", "", " ", "-", "\u00a0", "\u3000", "\u2003", "–", "—", "−", "－", " - ", "."]


@st.composite
def evasive(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> str:
    """A number with each character respelled, invisible characters and gaps between, and text around."""
    number = draw(numbers)
    parts: list[str] = []
    for char in number:
        parts.append(
            draw(st.sampled_from(ALTERNATIVES[char])) + draw(st.sampled_from(INVISIBLE)) + draw(st.sampled_from(GAPS))
        )
    before = draw(st.sampled_from(["", "身份证", "业主：", "(", "号码 ", "住址，"]))
    after = draw(st.sampled_from(["", "号", "，已核", ")", "（完）"]))
    return before + "".join(parts).rstrip(" .-–—−－\u00a0\u3000\u2003") + after


@settings(max_examples=300, deadline=None)
@given(evasive(resident_ids()))
def test_resident_ids_are_always_found(text: str) -> None:
    assert PersonalDataKind.RESIDENT_ID in {finding.kind for finding in scan(text)}


@settings(max_examples=300, deadline=None)
@given(evasive(credit_codes()))
def test_credit_codes_are_always_found(text: str) -> None:
    kinds = {finding.kind for finding in scan(text)}
    assert kinds & {PersonalDataKind.CREDIT_CODE, PersonalDataKind.RESIDENT_ID}


@settings(max_examples=300, deadline=None)
@given(evasive(bank_cards()))
def test_bank_cards_are_always_found(text: str) -> None:
    kinds = {finding.kind for finding in scan(text)}
    assert kinds & {PersonalDataKind.BANK_CARD, PersonalDataKind.RESIDENT_ID, PersonalDataKind.CREDIT_CODE}


@settings(max_examples=300, deadline=None)
@given(evasive(mobiles()))
def test_mobiles_are_always_found(text: str) -> None:
    assert PersonalDataKind.MOBILE in {finding.kind for finding in scan(text)}


@settings(max_examples=300, deadline=None)
@given(resident_ids(), st.text("0123456789abcxyz ,;", max_size=20), st.text("0123456789abcxyz ,;", max_size=20))
def test_resident_ids_among_other_characters_are_found(number: str, before: str, after: str) -> None:
    findings = scan(before + number + after)
    assert any(finding.kind is PersonalDataKind.RESIDENT_ID for finding in findings)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_scanned(text: str) -> None:
    folded = fold(text)
    for finding in scan(text):
        assert 0 <= finding.start < finding.end <= len(folded)
        assert set(finding.masked[2:]) == {"*"}
    assert not any(unicodedata.category(char) == "Cf" for char in folded)
