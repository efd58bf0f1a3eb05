"""National numbers, cards and accounts: published specimens are found, their neighbours are not."""

from __future__ import annotations

import pytest

from sidelight_sidecar.capture.mask.text import TextMasker

MASKER = TextMasker()

# From the issuers' and standards' own documents, and payment providers' test cards.
SPECIMENS = [
    ("card", "{}", "4111111111111111"),
    ("card", "{}", "5555 5555 5555 4444"),
    ("card", "{}", "2223-0031-2200-3222"),
    ("card", "{}", "3782 822463 10005"),
    ("card", "{}", "6011111111111117"),
    ("card", "{}", "3056 930902 5904"),
    ("card", "{}", "3530111333300000"),
    ("card", "{}", "6200 0000 0000 0005"),
    ("iban", "{}", "DE89 3704 0044 0532 0130 00"),
    ("iban", "{}", "GB29NWBK60161331926819"),
    ("iban", "{}", "NO93 8601 1117 947"),
    ("iban", "{}", "FR14 2004 1010 0505 0001 3M02 606"),
    ("us-ssn", "{}", "123-45-6789"),
    ("de-tax-id", "{}", "36 574 261 809"),
    ("fr-nir", "{}", "2 95 10 99 126 111 93"),
    ("pl-pesel", "{}", "44051401359"),
    ("be-national-number", "{}", "85.07.30-033.28"),
    ("no-fnr", "{}", "151086 95088"),
    ("ch-ahv", "{}", "756.9217.0769.85"),
    ("cn-resident-id", "{}", "11010519491231002X"),
    ("br-cpf", "{}", "390.533.447-05"),
    ("br-cnpj", "{}", "16.727.230/0001-97"),
    ("br-cnpj", "{}", "12.ABC.345/01DE-35"),
    ("it-codice-fiscale", "{}", "RCCMNL83S18D969H"),
    ("es-nie", "{}", "X-2482300W"),
    ("es-dni", "DNI {}", "54362315-K"),
    ("ca-sin", "SIN: {}", "046 454 286"),
    ("au-tfn", "TFN {}", "123 456 782"),
    ("nl-bsn", "BSN {}", "111222333"),
    ("uk-nhs", "NHS number {}", "943 476 5919"),
    ("se-personnummer", "personnummer {}", "811218-9876"),
    ("in-aadhaar", "Aadhaar {}", "2341 2341 2346"),
    ("kr-rrn", "{}", "900101-1234568"),
]


@pytest.mark.parametrize(("name", "place", "value"), SPECIMENS)
def test_a_specimen_is_found(name: str, place: str, value: str) -> None:
    """It is, and under its own name."""
    masked = MASKER.mask(place.format(value))
    assert masked.findings == {name: 1}
    assert value not in masked.text


@pytest.mark.parametrize(
    ("name", "place", "value"), [each for each in SPECIMENS if each[0] != "us-ssn"]
)
def test_with_another_last_sign_it_is_none(name: str, place: str, value: str) -> None:
    """Every one of the other digits (or letters) in the last place breaks the check."""
    last = value[-1]
    others = "0123456789" if last.isdigit() or name == "cn-resident-id" else "ABCDEFGHIJKLMNOP"
    for sign in others.replace(last, ""):
        findings = MASKER.mask(place.format(value[:-1] + sign)).findings
        assert name not in findings, sign


@pytest.mark.parametrize(
    "value",
    [each[2] for each in SPECIMENS if each[1] != "{}"]
    + ["415 555 0132", "8005550132", "13912345678"],
)
def test_what_needs_a_word_is_left_without_it(value: str) -> None:
    """The check alone lets too many others pass."""
    text = f"we counted {value} of them"
    assert MASKER.mask(text).text is text


@pytest.mark.parametrize(
    "text",
    [
        "x4111111111111111",
        "4111111111111111x",
        "94111111111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        "a-4111111111111111",
        "550e8400-e29b-41d4-a716-441111111111",
        "4111-1111-1111-1111-1111",
        "3.5105105105105100",
    ],
)
def test_a_card_within_something_longer_is_none(text: str) -> None:
    """A part of a longer number, word or identifier is no number of its own."""
    assert MASKER.mask(text).text is text


@pytest.mark.parametrize(
    "text",
    [
        "1234 4111 1111 1111 1111",
        "4111 1111 1111 1111 123",
        "12 4111 1111 1111 1111 34",
        "4111 1111 1111 1111 5555 5555 5555 4444",
        "7 5555 5555 5555 4444 2026",
        "2026-11-24 4111-1111-1111-1111",
        "12/29 4111111111111111 123",
    ],
)
def test_numbers_beside_a_card_do_not_hide_it(text: str) -> None:
    """Whatever stands before or behind, with a space between."""
    masked = MASKER.mask(text)
    assert "1111" not in masked.text
    assert "4444" not in masked.text


@pytest.mark.parametrize(
    "word", ["SSN", "ssn:", '"user_ssn": ', "ssn_number=", "social-security no. ", "SSN is"]
)
def test_a_word_is_found_in_the_ways_it_is_written(word: str) -> None:
    """With signs, underscores and "number" behind it."""
    assert MASKER.mask(f"{word} 123456789").findings == {"us-ssn": 1}


def test_the_word_may_follow_the_number_and_serve_several() -> None:
    """Both sides are looked at, as far as the window goes."""
    assert MASKER.mask("123456789 (SSN), 123456788 too").findings == {"us-ssn": 2}
    assert MASKER.mask("SSN" + " " * 60 + "123456789").findings == {}


def test_letters_of_other_scripts_are_borders_of_words_in_them() -> None:
    """Within another word, a Russian "тел" is no telephone; in Chinese nothing parts words."""
    assert MASKER.mask("производительность 4155550132").findings == {}
    assert MASKER.mask("мой тел. 4155550132").findings == {"phone": 1}
    assert MASKER.mask("我的手机号13800138000好").findings == {"phone": 1}


@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\u7535", "\\\\n", "\\u4111", "\\"])
@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("CARD", "4111111111111111"),
        ("IBAN", "DE89370400440532013000"),
        ("ES_NIE", "X2482300W"),
        ("PHONE", "+4917139200123"),
        ("IP_ADDRESS", "198.51.100.7"),
        ("IP_ADDRESS", "2001:db8::1"),
        ("EMAIL", "kim@example.com"),
        ("US_SSN", "123-45-6789"),
    ],
)
def test_an_escape_before_a_value_is_no_part_of_it(escape: str, label: str, value: str) -> None:
    """In JSON within JSON the last letter or digit of an escape stands right before the value."""
    assert MASKER.mask(f"a{escape}{value}").text == f"a{escape}[{label}]"
