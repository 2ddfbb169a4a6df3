"""Detection of personal numbers: known spellings, and what must not raise an alarm."""

from __future__ import annotations

import random

import pytest
from stdnum.cn import ric, uscc

from compliance.export.detection import (
    MAX_SCAN_CHARS,
    PersonalDataKind,
    fold,
    is_bank_card,
    is_credit_code,
    is_resident_id,
    scan,
)
from lianqiao_base.errors import Rejected

# Well-known documentation examples; none belongs to a person.
ID = "11010519491231002X"
CODE = "91110000600037341L"
CARD = "6222021234567890128"
MOBILE = "13800138000"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ID, PersonalDataKind.RESIDENT_ID),
        (ID.lower(), PersonalDataKind.RESIDENT_ID),
        ("11010519491231002Х", PersonalDataKind.RESIDENT_ID),  # Cyrillic
        ("１１０１０５１９４９１２３１００２Ｘ", PersonalDataKind.RESIDENT_ID),
        ("110105-1949-1231-002X", PersonalDataKind.RESIDENT_ID),
        ("110105 19491231 002X", PersonalDataKind.RESIDENT_ID),
        ("1\u200b1\u200c0\u200d1\ufeff0\u00ad519491231002X", PersonalDataKind.RESIDENT_ID),
        ("1\u03011\u0301010519491231002X", PersonalDataKind.RESIDENT_ID),
        ("110105\u30001949\u00a01231\u2003002X", PersonalDataKind.RESIDENT_ID),
        ("110105–1949—1231−002X", PersonalDataKind.RESIDENT_ID),
        ("1.1.0.1.0.5.1.9.4.9.1.2.3.1.0.0.2.X", PersonalDataKind.RESIDENT_ID),
        ("1,1,0,1,0,5,1949/12/31,002,X", PersonalDataKind.RESIDENT_ID),
        (f"owner{ID}end", PersonalDataKind.RESIDENT_ID),
        (f"业主身份证号{ID}，已核", PersonalDataKind.RESIDENT_ID),
        (f"0000{ID}", PersonalDataKind.RESIDENT_ID),
        ("一一〇一〇五一九四九一二三一〇〇二X", PersonalDataKind.RESIDENT_ID),
        ("①①⓪①⓪⑤①⑨④⑨①②③①⓪⓪②Ⅹ", PersonalDataKind.RESIDENT_ID),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢x", PersonalDataKind.RESIDENT_ID),
        ("110105491231002", PersonalDataKind.RESIDENT_ID_15),
        (CODE, PersonalDataKind.CREDIT_CODE),
        ("9111 0000 6000 3734 1l", PersonalDataKind.CREDIT_CODE),
        ("统一社会信用代码：91110000-60003734-1L", PersonalDataKind.CREDIT_CODE),
        (CARD, PersonalDataKind.BANK_CARD),
        ("6222 0212 3456 7890 128", PersonalDataKind.BANK_CARD),
        ("card6222021234567890128", PersonalDataKind.BANK_CARD),
        ("4111-1111-1111-1111", PersonalDataKind.BANK_CARD),
        (f"00{CARD}00", PersonalDataKind.BANK_CARD),
        (MOBILE, PersonalDataKind.MOBILE),
        ("138 0013 8000", PersonalDataKind.MOBILE),
        ("138-0013-8000", PersonalDataKind.MOBILE),
        ("(+86) 138.0013.8000", PersonalDataKind.MOBILE),
        ("008613800138000", PersonalDataKind.MOBILE),
        ("8613800138000", PersonalDataKind.MOBILE),
        ("电话１３８００１３８０００转", PersonalDataKind.MOBILE),
        ("tel13800138000", PersonalDataKind.MOBILE),
        ("1 3 8 0 0 1 3 8 0 0 0", PersonalDataKind.MOBILE),
    ],
)
def test_found_in_every_spelling(text: str, kind: PersonalDataKind) -> None:
    assert [finding.kind for finding in scan(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1234567",
        "440000",
        "123456789012",
        "1795000000000",  # ms
        "2026-11-18T08:00:00+08:00",
        "11010519491231003X",  # wrong check digit
        "99010519491231002X",  # no such province
        "110105194902300028",  # 30 February
        "91110000600037341M",  # wrong check character
        "6222021234567890127",  # Luhn fails
        "12800138000",  # no mobile range
        "0013800138000",  # longer digit run
        "138001380001",
        "0x" + "ab" * 20,
        "13800138000" + "a" * 21,  # 32 hexadecimal characters: a hash, not a telephone
        "1,718,000,000,000",
        "CSRC-RWA-2026-0001",
        "国合函〔2024〕1234号",
    ],
)
def test_no_false_alarm(text: str) -> None:
    assert scan(text) == []


def test_positions_mask_and_several_findings() -> None:
    text = f"a {ID}, b {MOBILE}"
    findings = scan(text)
    assert [f.kind for f in findings] == [PersonalDataKind.RESIDENT_ID, PersonalDataKind.MOBILE]
    assert fold(text)[findings[0].start : findings[0].end] == ID
    assert [f.masked for f in findings] == ["11" + "*" * 16, "13" + "*" * 9]
    assert [f.checksummed for f in findings] == [True, False]


def test_stronger_kind_wins_over_what_lies_within() -> None:
    number = "110105199001011"  # 15 digits of a longer run are no old ID
    assert [f.kind for f in scan("110105194912310021")] != [PersonalDataKind.RESIDENT_ID_15]
    assert all(f.kind is not PersonalDataKind.RESIDENT_ID_15 for f in scan(number + "9"))


def test_codes_that_begin_with_letters() -> None:
    body = "N2440000MA4W1234"
    found = [
        body + check + last
        for check in "0123456789X"
        for last in "0123456789ABCDEFGHJKLMNPQRTUWXY"
        if is_credit_code(body + check + last)
    ]
    assert found
    assert all(scan(code)[0].kind is PersonalDataKind.CREDIT_CODE for code in found)


@pytest.mark.parametrize(
    "body",
    [
        "99010519491231002",  # no such province
        "11010519490230002",  # 30 February
        "11010518491231002",  # another century
    ],
)
def test_a_right_check_digit_is_not_enough(body: str) -> None:
    number = body + ric.calc_check_digit(body + "0")
    assert not is_resident_id(number)
    assert all(finding.kind is not PersonalDataKind.RESIDENT_ID for finding in scan(number))
    assert is_resident_id(ID)


def test_credit_codes_within_words_need_both_check_characters() -> None:
    assert [finding.kind for finding in scan(f"no{CODE}abc")] == [PersonalDataKind.CREDIT_CODE]
    wrong = "91110000600037342"  # the organisation code's own check character is wrong
    assert scan(f"no{wrong}{uscc.calc_check_digit(wrong)}abc") == []
    assert [finding.kind for finding in scan(wrong + uscc.calc_check_digit(wrong))] == [PersonalDataKind.CREDIT_CODE]


def test_cards_need_prefix_and_length() -> None:
    assert is_bank_card(CARD)
    assert not is_bank_card("1111111111111117")  # Luhn holds, no issuer prefix
    assert not is_bank_card("62" + "0" * 13)  # 15 digits


def test_too_long_is_refused() -> None:
    assert scan("a" * MAX_SCAN_CHARS) == []
    with pytest.raises(Rejected, match="VALUE_TOO_LONG"):
        scan("a" * (MAX_SCAN_CHARS + 1))


def test_precision_on_hard_negatives() -> None:
    """4,000 seeded values that look like numbers of people and are not: at most 1 in 200 raises an alarm."""
    rng = random.Random(20261122)
    makers = [
        lambda: str(rng.randrange(10**9, 10**10)),  # Wh of a plant's year
        lambda: str(rng.randrange(10**12, 3 * 10**12)),  # ms
        lambda: str(rng.randrange(10**17, 10**18)),  # 18 digits
        lambda: str(rng.randrange(1_700_000_000, 1_800_000_000) * 10**9),  # ns
        lambda: rng.randbytes(32).hex(),
        lambda: "0x" + rng.randbytes(20).hex(),
        lambda: ", ".join(str(rng.randrange(0, 100_000)) for _ in range(8)),
        lambda: (
            f"{rng.randrange(2015, 2027)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} "
            f"{rng.randrange(24):02}:{rng.randrange(60):02} {rng.randrange(0, 500_000)} W"
        ),
        lambda: f"GD-{rng.randrange(10**5):05}-INV{rng.randrange(10**7):07}",
        lambda: ID[:17] + rng.choice("0123456789"),
    ]
    alarms = sum(bool(scan(rng.choice(makers)())) for _ in range(4000))
    assert alarms <= 20
