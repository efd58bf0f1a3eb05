"""`sidelight-sidecar replay`, and what its command line refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from observed import CHAT_STREAM, Script, request

from sidelight_contract.summary import decode_summary
from sidelight_sidecar.cli import main
from sidelight_sidecar.frames.file import file_header
from sidelight_sidecar.redirect import rules

HEADER = file_header(5, 1_700_000_000_000_000_005)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A file of three whole exchanges."""
    path = tmp_path / "frames"
    scripts = [
        Script(n, n).client(request(b'{"secret":1}')).engine(*CHAT_STREAM) for n in (1, 2, 3)
    ]
    path.write_bytes(HEADER + b"".join(script.close().encoded() for script in scripts))
    return path


@pytest.mark.parametrize("form", ["exchanges", "metrics", "summary"])
def test_replay_twice_is_the_same(
    recording: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit, and without a byte of the payload."""
    outputs = []
    for _ in range(2):
        assert main(["replay", str(recording), "--format", form]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != ""
    assert "secret" not in outputs[0]
    assert "Hel" not in outputs[0]
    if form == "summary":
        assert decode_summary(outputs[0].encode()).total[0].requests == 3


@pytest.mark.parametrize(("cut", "whole"), [(5, 3), (900, 2)])
def test_truncated_file_gives_what_is_whole_and_says_where_it_ends(
    recording: Path, cut: int, whole: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, the byte offset on stderr."""
    recording.write_bytes(recording.read_bytes()[:-cut])
    assert main(["replay", str(recording)]) == 1
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert [line["output_tokens"] for line in lines] == [3] * whole
    assert "at byte " in output.err


def test_garbage_amid_a_file_is_said_with_its_place(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exchanges before it are printed."""
    size = len(recording.read_bytes())
    recording.write_bytes(recording.read_bytes() + b"\xff" * 50)
    assert main(["replay", str(recording)]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 3
    assert f"at byte {size}" in output.err


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 500, b"SIDELIGHT-FRAMES 9 1 1\n"])
def test_file_that_is_no_frame_file(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence, no traceback."""
    path = tmp_path / "other"
    path.write_bytes(content)
    assert main(["replay", str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert str(path) in output.err


def test_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own words."""
    assert main(["replay", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--listen", "nowhere", "--engine", "127.0.0.1:1", "--admin", "127.0.0.1:2"],
        ["run", "--listen", "127.0.0.1:1", "--engine", "other", "--admin", "127.0.0.1:2"],
        ["run", "--listen", "127.0.0.1:1", "--engine", "original-dst", "--admin", "x:99999"],
        ["redirect", "--port", "0", "--to", "15001", "--liveness", "15008"],
        [],
    ],
)
def test_arguments_that_cannot_be_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything starts."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error: " in capsys.readouterr().err


def test_relay_is_started_with_the_observer_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` becomes the relay itself: the process stays one, and small."""
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: started.append(command))
    main(
        [
            "run",
            "--listen",
            "0.0.0.0:1",
            "--listen",
            "127.0.0.1:2",
            "--engine",
            "original-dst",
            "--admin",
            "0.0.0.0:3",
            "--config",
            "/c",
            "--token-file",
            "/t",
        ]
    )
    relay, observer = " ".join(started[0]).split(" -- ")
    assert "-m sidelight_sidecar.relay --engine original-dst" in relay
    assert "--listen 0.0.0.0:1 --listen 127.0.0.1:2" in relay
    assert "-m sidelight_sidecar.observer --admin 0.0.0.0:3 --config /c --token-file /t" in observer


def test_redirect_is_one_transaction_that_makes_its_table_anew() -> None:
    """Twice is as once; both rules are terminal, so a connection is translated once."""
    text = rules([8000, 8001], 15001, 15008)
    assert text.startswith("table inet sidelight\ndelete table inet sidelight\n")
    assert "tcp dport 8000 redirect to :15001" in text
    assert "tcp dport 15008 redirect to :8000" in text
    assert "tcp dport 8001 redirect to :15001" in text
    assert "tcp dport 15009 redirect to :8001" in text


def test_redirect_without_nft_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence and exit status 1."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["redirect", "--port", "8000", "--to", "15001", "--liveness", "15008"]) == 1
    assert "nft" in capsys.readouterr().err
