"""What looks like a finding and is none: wrong check digits, other people's numbers, made by chance."""

# ruff: noqa: E501 - texts stay whole, and as people write them
from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from random import Random

from benchmarks.redaction.values import digits, grouped

from sidelight_sidecar.capture.mask.checksums import luhn
from sidelight_sidecar.capture.mask.numbers import letters, national, weak
from sidelight_sidecar.capture.mask.numbers.cards import is_card

_EACH = 100


def near_misses(random: Random) -> Iterator[str]:
    """Yield texts in which nothing is to be found."""
    for _ in range(_EACH):
        yield from _wrong_digits(random)
        yield from _numbers(random)
        yield from _tokens(random)


def _wrong(random: Random, text: str, place: int) -> str:
    """Change one digit: every check here notices that, but for Luhn's beside a swap."""
    return text[:place] + str((int(text[place]) + random.randrange(1, 9)) % 10) + text[place + 1 :]


def _until_wrong(random: Random, size: int, first: str, *proofs: object) -> str:
    while True:
        text = first + digits(random, size - len(first))
        if not any(proof(text.encode()) for proof in proofs):  # type: ignore[operator]
            return text


def _wrong_digits(random: Random) -> Iterator[str]:
    card = _until_wrong(random, 16, "4111", luhn)
    yield f"pay with {grouped(card, 4, 4, 4, 4)} or {card}"
    amex = _until_wrong(random, 15, "37", luhn, national.is_fr_nir)
    yield f"card {grouped(amex, 4, 6, 5)}"
    other = _until_wrong(random, 16, "7", is_card)
    yield f"a number that no card begins with: {grouped(other, 4, 4, 4, 4)}"
    iban = f"DE{random.randrange(2, 99):02d}" + digits(random, 18)
    if int(iban[4:] + "1314" + iban[2:4]) % 97 != 1:
        yield f"IBAN {iban}"
    yield f"SSN 000-{digits(random, 2)}-{digits(random, 4)} or 9{digits(random, 2)}-12-{digits(random, 4)}"
    sin = _until_wrong(random, 9, "1", weak.is_ca_sin)
    yield f"my SIN is {grouped(sin, 3, 3, 3)}"
    yield f"TFN: {_until_wrong(random, 9, '2', weak.is_au_tfn)}"
    yield f"BSN: {_until_wrong(random, 9, '3', weak.is_nl_bsn)}"
    yield f"NHS number: {_until_wrong(random, 10, '9', weak.is_uk_nhs)}"
    yield f"Aadhaar {grouped(_until_wrong(random, 12, '5', weak.is_in_aadhaar), 4, 4, 4)}"
    cpf = _until_wrong(random, 11, "", national.is_br_cpf)
    yield f"CPF {cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}"
    dni = digits(random, 8)
    wrong = random.choice(
        [sign for sign in "TRWAGMYF" if ord(sign) != letters.dni_letter(dni.encode())]
    )
    yield f"DNI {dni}{wrong}"


def _numbers(random: Random) -> Iterator[str]:
    """Yield numbers of every length as texts have them: of orders, bytes, times, versions."""
    for size in range(5, 20):
        yield f"order {random.choice('123456789')}{digits(random, size - 1)} was shipped"
    yield f"{random.randrange(10**9):,} of {random.randrange(10**12):,} bytes, {random.random():.15f}"
    yield f"{random.uniform(-180, 180):.6f}, {random.uniform(-90, 90):.7f} at {random.random():.3e}"
    yield "\t".join(str(random.randrange(10 ** random.randrange(1, 9))) for _ in range(12))
    yield " ".join(f"{random.gauss(0, 1):.4f}" for _ in range(16))
    day = (
        f"20{random.randrange(10, 27)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}"
    )
    clock = f"{random.randrange(24):02d}:{random.randrange(60):02d}:{random.randrange(60):02d}"
    yield f"{day} {clock}.{digits(random, 6)} {day}T{clock}Z {day.replace('-', '')}{clock.replace(':', '')}"
    yield f"{day.replace('-', '/')} {'.'.join(reversed(day.split('-')))} {day}-{clock.replace(':', '-')}"
    yield f"{1_700_000_000 + random.randrange(10**8)} {1_700_000_000_000 + random.randrange(10**10)}"
    yield f"version {'.'.join(str(random.randrange(30)) for _ in range(4))}, v{random.randrange(9)}.{digits(random, 2)}"
    yield f"ISBN 978-{random.randrange(10)}-{digits(random, 2)}-{digits(random, 6)}-{random.randrange(10)}"
    yield f"chr{random.randrange(1, 22)}:{random.randrange(10**8)}-{random.randrange(10**8)} p.{digits(random, 4)}"
    yield f"item {digits(random, 4)}-{digits(random, 4)}-{digits(random, 3)}, invoice {digits(random, 3)}/{digits(random, 5)}"


def _tokens(random: Random) -> Iterator[str]:
    """Yield what is random and no secret: hashes, ids, colours, addresses of memory and hardware."""
    raw = random.randbytes(64)
    identity = uuid.UUID(bytes=random.randbytes(16), version=4)
    yield f'id={identity} sha256:{raw[:32].hex()} commit {raw[:20].hex()} etag "{raw[:16].hex()}"'
    yield f"sha512-{base64.b64encode(raw).decode()} {base64.urlsafe_b64encode(raw[:24]).decode()}"
    yield f"data:image/png;base64,{base64.b64encode(random.randbytes(200)).decode()}"
    yield f"0x{raw[:8].hex()} {':'.join(f'{byte:02x}' for byte in raw[:6])} #{raw[:3].hex()}"
    yield f"SHA256:{base64.b64encode(raw[:32]).decode().rstrip('=')} {':'.join(f'{byte:02x}' for byte in raw[:20])}"
    yield f"chatcmpl-{raw[:12].hex()} call_{base64.b32encode(raw[:15]).decode().lower()} run_{raw[:9].hex()}"
