"""docs/redaction.md from the detectors, the corpus and what one makes of the other."""

# ruff: noqa: E501 - texts stay whole, and as people write them
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import fill

from benchmarks.redaction.measure import Score

from sidelight_sidecar.capture.mask import custom
from sidelight_sidecar.capture.mask.finding import label
from sidelight_sidecar.capture.mask.keys import RULES
from sidelight_sidecar.capture.mask.numbers.contextual import BEFORE_BYTES, BEHIND_BYTES
from sidelight_sidecar.capture.mask.registry import DETECTORS

ABOUT: dict[str, tuple[str, str]] = {
    "private-key": ("PEM armour (PKCS, OpenSSH, PGP), also cut off, also with `\\n` escaped", "structure"),
    "jwt": ("JSON Web Tokens, also without their signature", "the header decodes and has `alg`"),
    "api-key": ("keys by their prefix; the providers are below", "prefix, alphabet, length"),
    "iban": ("bank accounts, in groups of four or none", "country, length, rest by 97"),
    "card": ("payment cards of 14 to 19 digits, with spaces, dashes or none", "issuer, length, Luhn"),
    "us-ssn": ("Social Security, with dashes; other writings beside a word", "areas, groups, serials given"),
    "de-tax-id": ("Steuer-ID", "MOD 11,10, digits repeated"),
    "fr-nir": ("numéro de sécurité sociale, Corsica too", "key by 97, month"),
    "pl-pesel": ("PESEL", "weighted digit, birth date"),
    "be-national-number": ("rijksregisternummer, BIS number", "rest by 97, birth date"),
    "no-fnr": ("fødselsnummer, D-number", "two weighted digits, birth date"),
    "ch-ahv": ("AHV number", "756, EAN-13"),
    "kr-rrn": ("resident registration, with its dash; without beside a word", "weighted digit, birth date"),
    "cn-resident-id": ("resident identity", "MOD 11-2, province, birth date"),
    "br-cpf": ("CPF as printed; other writings beside a word", "two weighted digits"),
    "it-codice-fiscale": ("codice fiscale, with omocodia", "check letter, day, month"),
    "br-cnpj": ("CNPJ as printed, with letters too; other writings beside a word", "two weighted digits"),
    "es-nie": ("NIE", "letter by 23"),
    "uk-nino": ("National Insurance, in pairs; other writings beside a word", "prefixes given, suffix"),
    "ca-sin": ("Social Insurance", "**word**, Luhn"),
    "au-tfn": ("Tax File Number", "**word**, sum by 11"),
    "nl-bsn": ("burgerservicenummer", "**word**, elfproef"),
    "uk-nhs": ("NHS number", "**word**, sum by 11"),
    "se-personnummer": ("personnummer", "**word**, Luhn, birth date"),
    "in-aadhaar": ("Aadhaar", "**word**, Verhoeff"),
    "es-dni": ("DNI, NIF", "**word**, letter by 23"),
    "email": ("addresses, of Latin, Greek and Cyrillic letters", "structure"),
    "ip-address": ("IPv4 and IPv6, but loopback, `0.0.0.0` and masks", "structure, no version beside"),
    "phone": ("E.164 and how countries print theirs; bare digits beside a word", "calling code and length, or **word**"),
    "credential": ("values of `password=`, `api_key:`, `Authorization:`, `scheme://user:...@`", "name, signs or entropy"),
}  # fmt: skip

HEAD = """# What masking finds, and what it does not

Made by `python -m benchmarks.redaction > docs/redaction.md`; a test holds it to the code. Detectors
are in `sidelight_sidecar/capture/mask/`, the corpus in `benchmarks/redaction/`.

A finding is replaced by its label, such as `[CARD]`. Overlapping findings become one, under the name
of the longest. Masking masked text changes nothing, and text without findings stays as it is, in
every language. Digits of every script, full-width letters, no-break spaces, unusual dashes and
invisible characters within a number or address do not hide it.

## Precision and recall

The corpus has {cases:,} texts with {characters:,} characters and {spans:,} labelled values: {made} of
each kind (more, where it is written in two ways) made by chance in the ways people and programs write
them, {keys} keys, hard cases by hand, and near misses: wrong check digits, order numbers of every
length, hashes, UUIDs, versions, times, code, base64, prose in more than 30 languages.

* **recall**: of the values that are there, those that were masked from end to end.
* **precision**: of the findings, those that lie on a labelled value.

**Read them as what the corpus says, not as what your traffic will**: values made by chance are
written as the detector's author knows they are written. What is missed is below, and your own texts
are the better test.

| detector | finds | proof | values | recall | precision |
|---|---|---|---|---|---|
"""

TAIL = """
**word**: too many other numbers pass the check (1 in 10 or 1 in 23), or there is none, so a word that
says what it is must stand near: up to {before} bytes behind the number or {behind} before it. The words
are in `numbers/weak.py`.

A key's prefix and least length are its proof; lengths grow, so each is masked to its end. Keys of:
{providers}.

## Missed in the corpus

{missed}

## Wrong in the corpus

{wrong}

A random number passes Luhn once in ten times, and an issuer's range seldom: of numbers of 16 digits
that begin with 2 to 6, about 1 in 16 is taken for a card. That is the price of finding all cards. A
version or section number of four parts is taken for an address where no word before it says what it
is; changelogs are full of them.

## Not looked for

* Names of people and companies, postal addresses, birth dates, ages, professions, places.
* Health, religion, opinions: what a text says in words.
* What a picture, a sound or a file says (the structural rules drop those whole).
* Passwords without a name before them, of letters alone, or said in a sentence other than
  "password is ..."; PINs and one-time codes.
* Numbers in words, in pairs, one digit by one, over two lines, or with dots for spaces; numbers of
  7 to 15 digits that nothing beside calls a telephone number.
* Addresses with `at` for `@`, in quotes, or with a domain in Chinese, Japanese, Korean or an Indian
  script.
* Letters of other alphabets that only look like Latin ones; text that was encoded (gzip, percent
  signs, base64 in base64) or encrypted. In bodies, base64 and hex of 16 characters or more are decoded
  once and masked, a value is also looked at behind its key, and what is split over the events of a
  stream or the parts of a message is found; a secret that was cut in two otherwise is not.
* Passports, driving licences, vehicle, insurance and customer numbers. A pattern of your own can.

## Patterns of your own

Up to {max_patterns} patterns, each with a name (small letters, digits, dashes) and RE2 syntax of at most
{max_characters} characters. They see the text as it is, not folded. A match has at most {max_match:,}
bytes; a longer one is masked in parts or not at all. A pattern that cannot be used is refused with a
sentence that says where: `pattern 'ticket': missing ]: [A-Z (at character 7)`.

Each detector can be left out by its name.
"""


def page(scores: Mapping[str, Score], totals: Counter[str], made: int, keys: int) -> str:
    """Return the whole page."""
    return (
        HEAD.format(made=made, keys=keys, **totals)
        + "".join(f"{row}\n" for row in _rows(scores))
        + TAIL.format(
            before=BEFORE_BYTES,
            behind=BEHIND_BYTES,
            providers=fill(", ".join(RULES), 100),
            missed=_examples(scores, "missed"),
            wrong=_examples(scores, "wrong"),
            max_patterns=custom.MAX_PATTERNS,
            max_characters=custom.MAX_PATTERN_CHARACTERS,
            max_match=custom.MAX_MATCH_BYTES,
        )
    )


def _rows(scores: Mapping[str, Score]) -> Iterator[str]:
    for name in DETECTORS:
        finds, proof = ABOUT[name]
        score = scores[name]
        yield (
            f"| `{name}` `{label(name)}` | {finds} | {proof} | {score.there} | {_share(score.recall)} "
            f"| {_share(score.precision)} |"
        )


def _share(value: float) -> str:
    """Return a share in percent, never rounded up to all."""
    return "100 %" if value == 1 else f"{int(value * 1000) / 10} %"


def _examples(scores: Mapping[str, Score], which: str) -> str:
    lines = []
    for name in DETECTORS:
        texts: list[str] = getattr(scores[name], which)
        if texts and name in ("api-key", "jwt", "private-key"):
            lines.append(f"* `{name}` {len(texts)}, not shown: scanners of secrets would find them")
        elif texts:
            shown = ", ".join(f"`{text.replace(chr(10), ' (line break) ')}`" for text in texts[:8])
            lines.append(f"* `{name}` {len(texts)}: {shown}")
    return "\n".join(lines)
