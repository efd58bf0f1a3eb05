"""The kinds of number that need a word beside them, with the words, in the languages they occur in.

Here belongs whose check lets 1 in 100 or more other numbers pass, or that has no check at all.
"""

from __future__ import annotations

from sidelight_sidecar.capture.mask.checksums import luhn, verhoeff, weighted
from sidelight_sidecar.capture.mask.numbers.kind import Contextual
from sidelight_sidecar.capture.mask.numbers.letters import dni_letter, is_br_cnpj, is_uk_nino
from sidelight_sidecar.capture.mask.numbers.national import (
    is_br_cpf,
    is_kr_rrn,
    is_se_personnummer,
    is_us_ssn,
)

_NINE = rb"\d{9}|\d{3}[ .-]\d{3}[ .-]\d{3}"
_TFN = (1, 4, 3, 7, 5, 8, 6, 9, 10)
_BSN = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_NHS = (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)


def is_ca_sin(digits: bytes) -> bool:
    """Social Insurance Number: Luhn; what begins with 8 is a business's."""
    return digits[0] != 56 and luhn(digits) and len(set(digits)) > 1


def is_au_tfn(digits: bytes) -> bool:
    """Tax File Number: a weighted sum by 11."""
    return weighted(digits, _TFN) % 11 == 0 and len(set(digits)) > 1


def is_nl_bsn(digits: bytes) -> bool:
    """Burgerservicenummer: the "elfproef"."""
    return weighted(digits, _BSN) % 11 == 0 and len(set(digits)) > 1


def is_uk_nhs(digits: bytes) -> bool:
    """NHS number: a weighted sum by 11."""
    return weighted(digits, _NHS) % 11 == 0 and len(set(digits)) > 1


def is_in_aadhaar(digits: bytes) -> bool:
    """Aadhaar: Verhoeff, none begins with 0 or 1."""
    return digits[0] not in b"01" and verhoeff(digits)


def is_es_dni(text: bytes) -> bool:
    """DNI: eight digits and the letter of their rest by 23."""
    return dni_letter(text[:8]) == text[8]


def is_phone(digits: bytes) -> bool:
    """Nothing but the count of digits, and no round number: the word beside says the rest."""
    return 7 <= len(digits) <= 15 and len(digits.rstrip(b"0")) > 4


PHONE_WORDS = (
    "phone", "phones", "telephone", "tel", "tel.", "mobile", "mob", "mob.", "cell", "cellphone",
    "fax", "whatsapp", "sms", "call", "call me at", "text me at", "ph", "phone n", "contact",
    "telefon", "telefonisch", "handy", "mobil", "rufnummer", "teléfono", "telefono", "móvil",
    "movil", "celular", "cellulare", "téléphone", "tél", "portable", "telefone", "telefoon",
    "mobiel", "puhelin", "telefonnummer", "电话", "手机", "電話", "手機", "携帯", "전화", "연락처",
    "телефон", "Телефон", "тел", "Тел", "هاتف", "फोन", "טלפון", "τηλέφωνο", "Τηλέφωνο",
)  # fmt: skip

KINDS = (
    Contextual(
        "us-ssn",
        ("ssn", "ssns", "social security", "social security n", "soc sec"),
        rb"\d{9}|\d{3} \d\d \d{4}",
        is_us_ssn,
    ),
    Contextual("ca-sin", ("sin", "social insurance", "nas"), _NINE, is_ca_sin),
    Contextual("au-tfn", ("tfn", "tax file"), _NINE, is_au_tfn),
    Contextual(
        "nl-bsn",
        ("bsn", "burgerservice", "burgerservicenummer", "sofi", "sofinummer"),
        _NINE + rb"|\d{4}\.\d\d\.\d{3}",
        is_nl_bsn,
    ),
    Contextual("uk-nhs", ("nhs",), rb"\d{10}|\d{3}[ -]\d{3}[ -]\d{4}", is_uk_nhs),
    Contextual(
        "se-personnummer",
        ("personnummer", "personnr", "pnr", "samordningsnummer", "personal identity"),
        rb"(?:19|20)?\d{6}[-+ ]?\d{4}",
        is_se_personnummer,
    ),
    Contextual("br-cpf", ("cpf",), rb"\d{11}|\d{9}-\d\d", is_br_cpf),
    Contextual("br-cnpj", ("cnpj",), rb"[0-9A-Z]{12}\d\d", is_br_cnpj),
    Contextual(
        "in-aadhaar",
        ("aadhaar", "aadhar", "adhaar", "uidai", "uid", "आधार"),
        rb"\d{12}|\d{4}[ -]\d{4}[ -]\d{4}",
        is_in_aadhaar,
    ),
    Contextual("kr-rrn", ("rrn", "resident registration", "주민등록번호"), rb"\d{13}", is_kr_rrn),
    Contextual(
        "es-dni", ("dni", "nif", "documento nacional"), rb"\d{8}[ -]?[A-Za-z]", is_es_dni
    ),
    Contextual(
        "uk-nino",
        ("nino", "ni", "national insurance", "nin"),
        rb"[A-Za-z]{2}\d{6}[A-Da-d]",
        is_uk_nino,
    ),
    Contextual("phone", PHONE_WORDS, rb"\+?\(?\d(?:[ ()./-]{0,2}\d){6,14}", is_phone),
)  # fmt: skip
