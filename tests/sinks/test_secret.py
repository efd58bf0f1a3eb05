"""A Secret's folder: whole, of one version, and told to nobody."""

from pathlib import Path

import pytest
from shipping import write_secret

from sidelight_sidecar.capture.sinks.secret import MAX_KEY_BYTES, SecretError, read_secret


def test_keys_are_read_as_the_kubelet_leaves_them_and_anew_after_a_swap(tmp_path: Path):
    """Links through `..data`; the line end that an editor left is no part of a password."""
    write_secret(tmp_path / "s", username="ada", password="one\n", ca__crt="A\nB\n")
    before = read_secret(tmp_path / "s")
    assert before.values == {"username": "ada", "password": "one", "ca.crt": "A\nB"}
    assert (before.directory / "ca.crt").read_text() == "A\nB\n"
    write_secret(tmp_path / "s", username="ada", password="two")
    after = read_secret(tmp_path / "s")
    assert after.values == {"username": "ada", "password": "two"}
    assert before != after


def test_plain_files_do_too_and_no_folder_is_no_secret(tmp_path: Path):
    """As a test or another mount leaves them."""
    (tmp_path / "password").write_text("x")
    assert read_secret(tmp_path).values == {"password": "x"}
    assert read_secret(tmp_path / "none").values == {}


@pytest.mark.parametrize("value", [b"\xff\xfe", b"x" * (MAX_KEY_BYTES + 1)])
def test_what_is_no_text_or_too_long_is_an_error_without_a_word_of_it(tmp_path: Path, value: bytes):
    """The reason is ours."""
    (tmp_path / "password").write_bytes(value)
    with pytest.raises(SecretError, match=r"^secret cannot be read$") as raised:
        read_secret(tmp_path)
    assert raised.value.__suppress_context__


def test_no_value_is_in_a_repr(tmp_path: Path):
    """Nor so in a traceback's locals."""
    (tmp_path / "password").write_text("hush")
    assert "hush" not in repr(read_secret(tmp_path))
