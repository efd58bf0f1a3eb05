"""Headers and TLS from a Secret."""

from pathlib import Path

import pytest

from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.secret import SecretError


def test_a_token_and_headers_are_read_anew_each_time(tmp_path: Path):
    """What is for TLS is no header."""
    reader = CredentialsReader(tmp_path)
    assert reader.read().token == ""
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "x-api-key").write_text(" key ")
    (tmp_path / "ca.crt").write_text("no header")
    first = reader.read()
    assert (first.token, dict(first.headers)) == ("one", {"x-api-key": "key"})
    (tmp_path / "token").write_text("two")
    assert reader.read().token == "two"


def test_no_value_is_in_a_repr_or_an_error(tmp_path: Path):
    """Whatever is logged of them."""
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "x-key").write_text("s3cret")
    reader = CredentialsReader(tmp_path)
    assert "s3cret" not in repr(reader.read())
    (tmp_path / "x-key").write_text("s3cret\r\nx: y")
    with pytest.raises(SecretError, match=r"^secret's x-key can be no header$"):
        reader.read()


@pytest.mark.parametrize("key", ["ca.crt", "tls.crt"])
def test_certificates_that_are_none_are_said(tmp_path: Path, key: str):
    """Without what they hold."""
    (tmp_path / key).write_text("no certificate")
    with pytest.raises(SecretError, match=r"^secret's certificates cannot be used$"):
        CredentialsReader(tmp_path).tls()


def test_the_context_is_the_same_until_its_keys_change(tmp_path: Path):
    """So connections are kept; the system's authorities are trusted unless there is a `ca.crt`."""
    reader = CredentialsReader(tmp_path)
    first = reader.tls()
    assert reader.tls() is first
    (tmp_path / "token").write_text("new")
    assert reader.tls() is first
    (tmp_path / "ca.crt").write_text("")
    assert reader.tls() is first
