"""Keys, tokens, private keys and passwords; none of the values here opens anything."""

# ruff: noqa: RUF001 - texts as people write them
from __future__ import annotations

from random import Random

import pytest
from benchmarks.redaction.keys import FORMS, made

from sidelight_sidecar.capture.mask.keys import RULES
from sidelight_sidecar.capture.mask.text import TextMasker

MASKER = TextMasker()
LINES = "\n".join("QUJD" * 16 for _ in range(4))


def test_every_provider_has_an_example_and_every_example_a_provider() -> None:
    """Rules and examples are written apart, so that one can be wrong without the other."""
    assert RULES.keys() == FORMS.keys()


@pytest.mark.parametrize("provider", RULES)
def test_a_providers_key_is_masked_to_its_end(provider: str) -> None:
    """In a sentence, an assignment and a URL, and when it is longer than today's are."""
    for form in FORMS[provider]:
        key = made(form, Random(provider))
        for text in (f"use {key}.", f"KEY={key}", f"https://x.example/?k={key}&z=1", f'"{key}"'):
            masked = MASKER.mask(text).text
            assert key[6:] not in masked, text
            assert not any(key[-size:] in masked for size in (6, 12)), text
        longer = MASKER.mask(f"x {key}AbCd1234 y").text
        assert longer == "x [API_KEY] y"


@pytest.mark.parametrize("provider", RULES)
def test_half_a_key_is_none(provider: str) -> None:
    """A prefix alone, or with a few signs behind it, is what documentation has."""
    for form in FORMS[provider]:
        key = made(form, Random(provider))
        text = f"keys begin with {key[:9]} here"
        assert MASKER.mask(text).text is text


@pytest.mark.parametrize("kind", ["RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED ", "DSA "])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n", '",\n  "', "\n+"])
def test_a_private_key_is_masked_whole(kind: str, newline: str) -> None:
    """However its lines are broken."""
    key = f"-----BEGIN {kind}PRIVATE KEY-----\n{LINES}\nQUI=\n-----END {kind}PRIVATE KEY-----"
    text = f"before {key.replace(chr(10), newline)} after"
    assert MASKER.mask(text).text == "before [PRIVATE_KEY] after"


def test_a_private_key_that_was_cut_off_is_masked_to_where_it_was() -> None:
    """The words behind it stay."""
    text = f"-----BEGIN PRIVATE KEY-----\n{LINES}\n... and so on, for ever"
    assert MASKER.mask(text).text == "[PRIVATE_KEY]\n... and so on, for ever"


def test_headers_of_a_private_key_are_a_part_of_it() -> None:
    """PGP and old OpenSSL keys have lines of words before the base64."""
    for kind, header in (
        ("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00AA\n"),
        ("PGP PRIVATE KEY BLOCK", "Version: X 1.0\nComment: mine\n"),
    ):
        text = f"-----BEGIN {kind}-----\n{header}\n{LINES}\n=QUJD\n-----END {kind}-----"
        assert MASKER.mask(text).text == "[PRIVATE_KEY]"


def test_a_token_is_a_web_token_by_its_header_alone() -> None:
    """Base64 of other JSON is none; without a signature it still tells its claims."""
    header, other = "eyJhbGciOiJub25lIn0", "eyJmb28iOiJub25lIn0"
    payload = "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
    assert MASKER.mask(f"a {header}.{payload}.c2ln b").text == "a [JWT] b"
    assert MASKER.mask(f"a {header}.{payload}. b").text == "a [JWT]. b"
    assert MASKER.mask(f"a {header}.{payload} b").text == "a [JWT] b"
    for text in (f"{other}.{payload}.c2ln", header, f"{header} . {payload}", "eyJhbGciOi!.x.y"):
        assert MASKER.mask(text).text is text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter22", "password=[CREDENTIAL]"),
        ('password: "hunter 2!"', 'password: "[CREDENTIAL]"'),
        ("DB_PASSWORD='p4ss w0rd'", "DB_PASSWORD='[CREDENTIAL]'"),
        ('{\\"password\\": \\"hunter2\\"}', '{\\"password\\": \\"[CREDENTIAL]\\"}'),
        ("the password is hunter2.", "the password is [CREDENTIAL]."),
        ("token: 0123456789abcdef0123", "token: [CREDENTIAL]"),
        ("Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer [CREDENTIAL]"),
        ("ftp://kim:s3cret@files.example/", "ftp://kim:[CREDENTIAL]@files.example/"),
        ("密码：abc12345。", "密码：[CREDENTIAL]。"),
        ("client_secret=Ab3~dEf6.hIj9_kLm2n&scope=x", "client_secret=[CREDENTIAL]&scope=x"),
    ],
)
def test_the_value_of_a_secrets_name_is_masked(text: str, masked: str) -> None:
    """And nothing around it."""
    assert MASKER.mask(text).text == masked


@pytest.mark.parametrize(
    "text",
    [
        "password: required",
        "password=${DB_PASSWORD}",
        "password = <your password 1>",
        "password: str = Field(min_length=8)",
        "password=get_password1()",
        "token = 4096",
        "tokenizer: llama-3-8b-instruct-v2",
        "secret: my-app-credentials-v2",
        "api_key = os.environ['API_KEY_2']",
        "bearer of 20261124 news items",
        "http://localhost:8080/v1/models",
        "see https://user:password@host.example/ for the form",
    ],
)
def test_a_placeholder_a_type_or_a_word_is_none(text: str) -> None:
    """What programs and documentation have in a secret's place stays."""
    assert "[CREDENTIAL]" not in MASKER.mask(text).text
