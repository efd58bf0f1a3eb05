"""National numbers whose digits prove them: fewer than 1 in 100 other numbers of the shape pass.

How many pass by chance is beside each: it decides who is here, and who is in `contextual.py`.
"""

from __future__ import annotations

from sidelight_sidecar.capture.mask.checksums import is_date, luhn, mod11_10, weighted
from sidelight_sidecar.capture.mask.numbers.kind import Kind

_PESEL = (1, 3, 7, 9)
_NO_FIRST = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_NO_SECOND = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_CPF = (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
_KR = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_CN = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CN_CHECK = b"10X98765432"
_CN_PROVINCES = frozenset(
    b"11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 "
    b"71 81 82 83".split()
)


def is_us_ssn(digits: bytes) -> bool:
    """Social Security number: no check digit; areas, groups and serials never given are none."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in (b"000", b"666") and area < b"900" and group != b"00" and serial != b"0000"


def is_de_tax_id(digits: bytes) -> bool:
    """Steuerliche Identifikationsnummer: one of ten digits repeats, MOD 11,10. 0.3 %."""
    different = set(digits[:10])
    if digits[0] == 48 or len(different) not in (8, 9) or not mod11_10(digits):
        return False
    times = sorted(digits[:10].count(digit) for digit in different)
    return times[-1] in (2, 3) and times[-2] == 1


def is_fr_nir(digits: bytes) -> bool:
    """Numéro de sécurité sociale: sex, year, month (or its stand-ins), key by 97. 0.1 %."""
    month = int(digits[3:5])
    return (
        digits[0] in b"12"
        and (1 <= month <= 12 or 20 <= month <= 42 or month >= 50)
        and 97 - int(digits[:13]) % 97 == int(digits[13:])
    )


def is_pl_pesel(digits: bytes) -> bool:
    """PESEL: a birth date from 1900 to 2099 and a weighted digit. 0.7 %."""
    month = int(digits[2:4])
    return (
        is_date(digits[4:6], b"%02d" % (month - 20 if month > 12 else month))
        and weighted(digits[:10], _PESEL) % 10 == (10 - (digits[10] - 48)) % 10
    )


def is_be_national_number(digits: bytes) -> bool:
    """Rijksregisternummer: a birth date and a rest by 97, from 2000 on behind a 2. 0.2 %.

    Who is not in the register has a number with 20 or 40 added to the month.
    """
    check, born, month = int(digits[9:]), int(digits[:9]), int(digits[2:4])
    return is_date(digits[4:6], b"%02d" % (month - month // 20 * 20)) and check in (
        97 - born % 97,
        97 - (2_000_000_000 + born) % 97,
    )


def is_no_fnr(digits: bytes) -> bool:
    """Fødselsnummer: a birth date (D-numbers add 40 to its day), two weighted digits. 0.1 %."""
    return (
        is_date(b"%02d" % (int(digits[:2]) % 40), digits[2:4])
        and -weighted(digits[:9], _NO_FIRST) % 11 == digits[9] - 48
        and -weighted(digits[:10], _NO_SECOND) % 11 == digits[10] - 48
    )


def is_ch_ahv(digits: bytes) -> bool:
    """AHV number: Switzerland's 756 and the check digit of EAN-13. 0.01 %."""
    return digits.startswith(b"756") and weighted(digits, (1, 3)) % 10 == 0


def is_kr_rrn(digits: bytes) -> bool:
    """Resident registration number, given before October 2020: date, sex, weighted digit. 0.3 %."""
    return (
        is_date(digits[4:6], digits[2:4])
        and digits[6] in b"12345678"
        and (11 - weighted(digits[:12], _KR) % 11) % 10 == digits[12] - 48
    )


def is_cn_resident_id(digits: bytes) -> bool:
    """Resident identity number: province, birth date, MOD 11-2. 0.001 %."""
    return (
        digits[:2] in _CN_PROVINCES
        and digits[6:8] in (b"19", b"20")
        and is_date(digits[12:14], digits[10:12])
        and digits[:17].isdigit()
        and _CN_CHECK[weighted(digits[:17], _CN) % 11] == digits[17]
    )


def is_br_cpf(digits: bytes) -> bool:
    """CPF: two weighted digits. 1 %, but nothing else is written as it is."""
    first = weighted(digits[:9], _CPF[1:]) * 10 % 11 % 10
    second = weighted(digits[:10], _CPF) * 10 % 11 % 10
    return first == digits[9] - 48 and second == digits[10] - 48 and len(set(digits)) > 1


def is_se_personnummer(digits: bytes) -> bool:
    """Personnummer: a birth date (a coordination number adds 60 to its day) and Luhn. 0.5 %."""
    short = digits[-10:]
    day = int(short[4:6])
    return (
        digits[:-10] in (b"", b"19", b"20")
        and is_date(b"%02d" % (day - 60 if day > 60 else day), short[2:4])
        and luhn(short)
    )


KINDS = (
    Kind("us-ssn", (((3, 2, 4), b"--"),), is_us_ssn),
    Kind("de-tax-id", (((11,), b""), ((2, 3, 3, 3), b"   ")), is_de_tax_id),
    Kind("fr-nir", (((15,), b""), ((1, 2, 2, 2, 3, 3, 2), b"      ")), is_fr_nir),
    Kind("pl-pesel", (((11,), b""),), is_pl_pesel),
    Kind(
        "be-national-number",
        (((11,), b""), ((2, 2, 2, 3, 2), b"..-."), ((6, 3, 2), b"--"), ((6, 3, 2), b"-.")),
        is_be_national_number,
    ),
    Kind("no-fnr", (((11,), b""), ((6, 5), b" ")), is_no_fnr),
    Kind("ch-ahv", (((13,), b""), ((3, 4, 4, 2), b"...")), is_ch_ahv),
    Kind("kr-rrn", (((6, 7), b"-"),), is_kr_rrn),
    Kind("cn-resident-id", (((18,), b""),), is_cn_resident_id),
    Kind("br-cpf", (((3, 3, 3, 2), b"..-"),), is_br_cpf),
)
