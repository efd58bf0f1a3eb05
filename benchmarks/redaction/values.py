"""Values that must be found: made by chance, each in the ways it is written."""

# ruff: noqa: E501, RUF001 - texts stay whole, and as people write them
from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from random import Random

from sidelight_sidecar.capture.mask.iban import LENGTHS
from sidelight_sidecar.capture.mask.numbers import letters, national, weak
from sidelight_sidecar.capture.mask.numbers.cards import is_card

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOWHERE = ("example.com", "example.org", "mail.example.net", "beispiel.example", "пример.рф")
NAMES = ("kim.lee", "o'hara", "a.b+news", "zoë", "jürgen.groß", "x_1", "info", "анна", "m-k")


@dataclass(frozen=True, slots=True)
class Made:
    """A kind of value: how to make one, and where it stands (anywhere, if nothing is said)."""

    name: str
    make: Callable[[Random], str]
    places: tuple[str, ...] = ()


def digits(random: Random, count: int) -> str:
    """Return so many digits."""
    return "".join(random.choices("0123456789", k=count))


def grouped(text: str, *sizes: int, by: str = " ") -> str:
    """Part a text into groups."""
    ends = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    return by.join(text[first:last] for first, last in pairwise(ends))


def proved(random: Random, shape: Callable[[Random], str], proof: Callable[[bytes], bool]) -> str:
    """Draw until the proof holds: one in some hundred does."""
    while True:
        text = shape(random)
        if proof(text.encode()):
            return text


def dated(random: Random, form: str, more: int) -> str:
    """Return digits of a birth date in this form, and more behind them."""
    year, month, day = (
        random.randrange(1935, 2015),
        random.randrange(1, 13),
        random.randrange(1, 29),
    )
    return form.format(y=year % 100, Y=year, m=month, d=day) + digits(random, more)


def disguised(random: Random, text: str) -> str:
    """Write digits full-width or in another script, or the separators unusually."""
    way = random.randrange(6)
    if way == 0:
        return text.translate({48 + value: 0xFF10 + value for value in range(10)})
    if way == 1:
        return text.translate({48 + value: 0x0660 + value for value in range(10)})
    if way == 2:
        return text.replace(" ", "\u00a0")
    if way == 3:
        return text.replace("-", "\u2011").replace(" ", "\u202f")
    if way == 4:
        place = random.randrange(1, len(text))
        return text[:place] + random.choice("\u200b\u00ad\u2060\ufeff") + text[place:]
    return text


def _card(random: Random) -> str:
    prefix, size, groups = random.choice((
        ("4", 16, (4, 4, 4, 4)), ("51", 16, (4, 4, 4, 4)), ("2225", 16, (4, 4, 4, 4)),
        ("37", 15, (4, 6, 5)), ("6011", 16, (4, 4, 4, 4)), ("3530", 16, (4, 4, 4, 4)),
        ("36", 14, (4, 6, 4)), ("62", 19, (4, 4, 4, 4, 3)), ("6761", 18, (4, 4, 4, 4, 2)),
        ("2200", 16, (4, 4, 4, 4)),
    ))  # fmt: skip
    text = proved(random, lambda r: prefix + digits(r, size - len(prefix)), is_card)
    text = random.choice((text, grouped(text, *groups), grouped(text, *groups, by="-")))
    return disguised(random, text)


def _iban(random: Random) -> str:
    country = random.choice(sorted(LENGTHS)).decode()
    rest = digits(random, LENGTHS[country.encode()] - 4)
    if country in ("GB", "NL", "IE", "LV", "RO"):
        rest = "".join(random.choices(UPPER, k=4)) + rest[4:]
    number = int("".join(str(int(sign, 36)) for sign in rest + country + "00"))
    text = f"{country}{98 - number % 97:02d}{rest}"
    if random.random() < 0.5:
        text = " ".join(text[place : place + 4] for place in range(0, len(text), 4))
    return disguised(random, text)


def _ssn(random: Random) -> str:
    return grouped(proved(random, lambda r: digits(r, 9), national.is_us_ssn), 3, 2, 4, by="-")


def _email(random: Random) -> str:
    text = f"{random.choice(NAMES)}{random.randrange(100)}@{random.choice(NOWHERE)}"
    return text.replace("@", "\uff20") if random.random() < 0.1 else text


def _phone(random: Random) -> str:
    d = partial(digits, random)
    return random.choice((
        f"+1 {random.choice('23456789')}{d(2)} 555 01{d(2)}", f"({random.choice('23456789')}{d(2)}) 555-01{d(2)}",
        f"{random.choice('23456789')}{d(2)}-555-01{d(2)}", f"+44 20 7946 0{d(3)}", f"020 7946 0{d(3)}",
        f"07700 900{d(3)}", f"+49 30 23125 {d(3)}", f"+49 (0)171 39200{d(2)}", f"030/23125{d(3)}",
        f"0171 39200{d(2)}", f"+33 1 99 00 {d(2)} {d(2)}", f"01 99 00 {d(2)} {d(2)}", f"+34 600 {d(3)} {d(3)}",
        f"+39 06 5555 {d(4)}", f"+81-3-5555-{d(4)}", f"03-5555-{d(4)}", f"090-5555-{d(4)}",
        f"+86 138 0013 {d(4)}", f"138-0013-{d(4)}", f"+91 98765 {d(5)}", f"+55 (11) 95555-{d(4)}",
        f"(11) 95555-{d(4)}", f"8 (495) 555-{d(2)}-{d(2)}", f"+7 495 555-{d(2)}-{d(2)}", f"+46 8 5555 {d(4)}",
        f"+31 20 555 {d(4)}", f"+4915735985{d(3)}", f"+61 2 5550 {d(4)}", f"0491 570 {d(3)}",
    ))  # fmt: skip


def _bare_phone(random: Random) -> str:
    return random.choice("6789") + digits(random, random.randrange(7, 10))


def _ip(random: Random) -> str:
    if random.random() < 0.5:
        return "{}.{}.{}.{}".format(
            random.choice((10, 172, 192, 198, 203, 8)), *(random.randrange(256) for _ in range(3))
        )
    group = lambda: f"{random.randrange(1, 65536):x}"  # noqa: E731
    return random.choice((
        "2001:db8:" + ":".join(group() for _ in range(6)), f"2001:db8::{group()}", f"fe80::{group()}:{group()}",
        f"::ffff:198.51.100.{random.randrange(256)}",
    ))  # fmt: skip


def _jwt(random: Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = part({"alg": random.choice(("HS256", "RS256", "none", "ES256")), "typ": "JWT"})
    payload = part({"sub": digits(random, 10), "iat": 1_700_000_000})
    return f"{header}.{payload}.{''.join(random.choices(ALPHANUMERIC + '_-', k=43))}"


def _private_key(random: Random) -> str:
    kind = random.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "))
    lines = [
        "".join(random.choices(ALPHANUMERIC + "+/", k=64)) for _ in range(random.randrange(3, 20))
    ]
    text = "\n".join((f"-----BEGIN {kind}PRIVATE KEY-----", *lines))
    if random.random() < 0.7:
        last = "".join(random.choices(ALPHANUMERIC, k=random.randrange(4, 40))) + "=="
        text += f"\n{last}\n-----END {kind}PRIVATE KEY-----"
    return text.replace("\n", random.choice(("\n", "\r\n", "\\n")))


def _password(random: Random) -> str:
    return "".join(random.choices("abcdefghjkmnpqrstuvwxyz", k=random.randrange(5, 12))) + random.choice(
        ("7", "42!", "#1", "2026", "$x9")
    )  # fmt: skip


def _secret(random: Random) -> str:
    return "".join(random.choices(ALPHANUMERIC, k=random.randrange(20, 60))) + digits(random, 2)


def _dni(random: Random) -> str:
    number = digits(random, 8)
    return number + random.choice(("", "-")) + chr(letters.dni_letter(number.encode()))


def _nie(random: Random) -> str:
    return proved(
        random,
        lambda r: r.choice("XYZ") + digits(r, 7) + r.choice("TRWAGMYFPDXBNJZSQVHLCKE"),
        letters.is_es_nie,
    )


def _codice_fiscale(random: Random) -> str:
    def shape(r: Random) -> str:
        name = "".join(r.choices("BCDFGLMNPRST", k=6))
        day = r.randrange(1, 32) + r.choice((0, 40))
        return (f"{name}{digits(r, 2)}{r.choice('ABCDEHLMPRST')}{day:02d}"
                f"{r.choice('ABCDEFGHILM')}{digits(r, 3)}{r.choice(UPPER)}")  # fmt: skip

    return proved(random, shape, letters.is_it_codice_fiscale)


def _nino(random: Random) -> str:
    shape = lambda r: "".join(r.choices(UPPER, k=2)) + digits(r, 6) + r.choice("ABCD")  # noqa: E731
    return proved(random, shape, letters.is_uk_nino)


def _cnpj(random: Random) -> str:
    text = proved(random, lambda r: digits(r, 8) + "0001" + digits(r, 2), letters.is_br_cnpj)
    return f"{text[:2]}.{text[2:5]}.{text[5:8]}/{text[8:12]}-{text[12:]}"


def _by(
    proof: Callable[[bytes], bool],
    shape: Callable[[Random], str],
    *writings: Callable[[str], str],
) -> Callable[[Random], str]:
    """Make what the proof accepts, as it is or in one of the writings."""

    def make(random: Random) -> str:
        text = proved(random, shape, proof)
        return disguised(random, random.choice((str, *writings))(text))

    return make


def _plain(count: int) -> Callable[[Random], str]:
    return lambda random: digits(random, count)


def _beside(*words: str) -> tuple[str, ...]:
    """Return the places of what needs a word beside it."""
    places = (
        "my {w} is {{}}",
        "{w}: {{}}",
        '{{{{"{w}": "{{}}"}}}}',
        "{{}} ({w})",
        "{w} no. {{}}, thanks",
    )
    return tuple(place.format(w=word) for word in words for place in places)


def _groups(*sizes: int, by: str = " ") -> Callable[[str], str]:
    return lambda text: grouped(text, *sizes, by=by)


def _cpf(text: str) -> str:
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def _belgian(text: str) -> str:
    return f"{text[:2]}.{text[2:4]}.{text[4:6]}-{text[6:9]}.{text[9:]}"


def _cn(random: Random) -> str:
    return random.choice(("110105", "310104", "440106", "510107")) + dated(
        random, "{Y:04d}{m:02d}{d:02d}", 3
    ) + random.choice("0123456789X")  # fmt: skip


_BIRTH = "{y:02d}{m:02d}{d:02d}"

KINDS = (
    Made("card", _card),
    Made("iban", _iban),
    Made("email", _email),
    Made("phone", _phone),
    Made("phone", _bare_phone, _beside("phone", "tel", "Handy", "móvil", "电话", "Телефон", "whatsapp")),
    Made("ip-address", _ip),
    Made("us-ssn", _ssn),
    Made("us-ssn", lambda r: _ssn(r).replace("-", ""), _beside("SSN", "social security number")),
    Made("de-tax-id", _by(national.is_de_tax_id, _plain(11), _groups(2, 3, 3, 3))),
    Made("fr-nir", _by(national.is_fr_nir, lambda r: r.choice("12") + dated(r, "{y:02d}{m:02d}", 10),
                       _groups(1, 2, 2, 2, 3, 3, 2))),
    Made("pl-pesel", _by(national.is_pl_pesel, lambda r: dated(r, _BIRTH, 5))),
    Made("be-national-number", _by(national.is_be_national_number, lambda r: dated(r, _BIRTH, 5), _belgian)),
    Made("no-fnr", _by(national.is_no_fnr, lambda r: dated(r, "{d:02d}{m:02d}{y:02d}", 5), _groups(6, 5))),
    Made("ch-ahv", _by(national.is_ch_ahv, lambda r: "756" + digits(r, 10), _groups(3, 4, 4, 2, by="."))),
    Made("kr-rrn", lambda r: grouped(proved(r, lambda s: dated(s, _BIRTH, 0) + s.choice("1234") + digits(s, 6),
                                            national.is_kr_rrn), 6, 7, by="-")),
    Made("cn-resident-id", _by(national.is_cn_resident_id, _cn)),
    Made("br-cpf", lambda r: _cpf(proved(r, _plain(11), national.is_br_cpf))),
    Made("br-cpf", _by(national.is_br_cpf, _plain(11)), _beside("CPF")),
    Made("br-cnpj", _cnpj),
    Made("it-codice-fiscale", _codice_fiscale),
    Made("es-nie", _nie),
    Made("es-dni", _dni, _beside("DNI", "NIF")),
    Made("uk-nino", lambda r: grouped(_nino(r), 2, 2, 2, 2, 1)),
    Made("uk-nino", _nino, _beside("National Insurance number", "NINO")),
    Made("uk-nhs", _by(weak.is_uk_nhs, _plain(10), _groups(3, 3, 4)), _beside("NHS number", "NHS")),
    Made("ca-sin", _by(weak.is_ca_sin, _plain(9), _groups(3, 3, 3), _groups(3, 3, 3, by="-")),
         _beside("SIN", "Social Insurance Number")),
    Made("au-tfn", _by(weak.is_au_tfn, _plain(9), _groups(3, 3, 3)), _beside("TFN", "tax file number")),
    Made("nl-bsn", _by(weak.is_nl_bsn, _plain(9)), _beside("BSN", "burgerservicenummer")),
    Made("se-personnummer", _by(national.is_se_personnummer, lambda r: dated(r, _BIRTH, 4),
                                _groups(6, 4, by="-")), _beside("personnummer")),
    Made("in-aadhaar", _by(weak.is_in_aadhaar, _plain(12), _groups(4, 4, 4)), _beside("Aadhaar", "आधार")),
    Made("jwt", _jwt),
    Made("private-key", _private_key),
    Made("credential", _password, (
        "password={}", 'password: "{}"', "DB_PASSWORD={}", '{{"passwd": "{}"}}', "Passwort: {}",
        "postgresql://app:{}@db.example:5432/x", "пароль: {}", "密码：{}", "pwd => '{}'",
        'os.environ["ADMIN_PASSWORD"] = "{}"',
    )),
    Made("credential", _secret, (
        "api_key={}", "Authorization: Bearer {}", 'aws_secret_access_key = "{}"', "client_secret: {}",
        '{{"access_token": "{}"}}', "X-Api-Key: {}", "curl -H 'Authorization: Bearer {}'", "token={}",
        '"arguments": "{{\\"api_key\\": \\"{}\\"}}"', "AccountKey={}",
    )),
)  # fmt: skip
