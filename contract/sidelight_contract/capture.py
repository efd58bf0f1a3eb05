"""Which exchanges are kept as records, and what of their payload.

Rules:
1. What is kept is decided by the outcome, and by metadata alone.
2. Every record says with what probability one like it is kept, so that totals can be estimated.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

MAX_PER_MINUTE = 100_000
DETECTORS = (
    "private-key", "jwt", "api-key", "iban", "card", "us-ssn", "de-tax-id", "fr-nir", "pl-pesel",
    "be-national-number", "no-fnr", "ch-ahv", "kr-rrn", "cn-resident-id", "br-cpf",
    "it-codice-fiscale", "br-cnpj", "es-nie", "uk-nino", "ca-sin", "au-tfn", "nl-bsn", "uk-nhs",
    "se-personnummer", "in-aadhaar", "es-dni", "email", "ip-address", "phone", "credential",
)  # fmt: skip
"""Those that are built in; docs/redaction.md says what each finds."""

PATTERN_NAME = "^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$"
MAX_PATTERN_CHARACTERS = 512

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class KeptFor(StrEnum):
    """Why a record was kept."""

    ERROR = "error"
    ABANDONED = "abandoned"
    """Its client left before the answer had ended."""
    SLOW = "slow"
    """It took longer than `slower_than`."""
    SLOWEST = "slowest"
    """It took longer than 99 of 100 of its kind lately."""
    TRUNCATED = "truncated"
    """The answer ended at a limit of length."""
    SAMPLED = "sampled"


class KeepSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Which exchanges become records (`spec.capture.keep`).

    The defaults keep everything while there is little, and a fair sample of much.
    """

    errors: bool = True
    """Those that failed, whosever fault. Default true: they are few, and looked for first."""
    abandoned: bool = True
    """Those whose client left first. Default true, for the same reason."""
    truncated: bool = False
    """Those whose answer ended at a limit of length. Default false: for some users that is most."""
    slowest: bool = True
    """Those slower than 99 % of their kind over the last minutes. Default true."""
    slower_than: Seconds | None = None
    """Seconds from first to last byte. Default none: what is slow depends on the model."""
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Of all others. Default 1: the quota below bounds them."""
    per_minute: Annotated[int, msgspec.Meta(ge=2, le=MAX_PER_MINUTE)] = 600
    """Records a minute and pod: half of them for what is kept for its outcome, half for the share.
    When more comes, fewer of it are kept, and each record's probability says so. Default 600: with
    payloads of 10 kB that is 100 kB/s."""


class Payloads(StrEnum):
    """How much of payloads is in records (`spec.capture.payloads`)."""

    OFF = "Off"
    """None: metadata only."""
    REDACTED = "Redacted"
    FULL = "Full"
    """As they are, but for what structural rules drop."""


class Part(StrEnum):
    """What structural rules can drop of a payload (`spec.capture.redaction.drop`)."""

    SYSTEM_PROMPTS = "SystemPrompts"
    TOOL_DEFINITIONS = "ToolDefinitions"
    TOOL_RESULTS = "ToolResults"
    MEDIA = "Media"
    """Images, audio, files."""


class Pattern(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A pattern of the user's own, in RE2's syntax."""

    name: Annotated[str, msgspec.Meta(pattern=PATTERN_NAME, max_length=32)]
    """What stands in its place, in brackets: `[NAME]`."""
    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]


class RedactionSettings(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True
):
    """What is masked and dropped (`spec.capture.redaction`)."""

    without: Annotated[list[str], msgspec.Meta(max_length=64)] = []
    """Built-in detectors that are not used. Default none: all are."""
    patterns: Annotated[list[Pattern], msgspec.Meta(max_length=32)] = []
    drop: Annotated[list[Part], msgspec.Meta(max_length=8)] = []
    """Default none: what there is is masked, and media are never kept as they are when redacted."""
    first_characters: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Of each text so many are kept. Default 0: all."""


class CaptureSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """All of it, as the sidecar's configuration has it."""

    payloads: Payloads = Payloads.OFF
    keep: KeepSettings = KeepSettings()
    redaction: RedactionSettings = RedactionSettings()
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1024, le=8 << 20)] = 256 << 10
    """Of a request, and of a response; what is longer is cut. Default 256 KiB: a prompt of some
    60,000 tokens."""
    salt: str = ""
    """Hashed with each request's id to decide which are sampled."""
