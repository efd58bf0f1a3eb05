"""`sidelight-sidecar replay --capture`: what would be shipped, before anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from observed import (
    CHAT_STREAM,
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Script,
    answer,
    delta,
    request,
    usage,
)  # fmt: skip

from sidelight_sidecar.cli import main
from sidelight_sidecar.frames.file import file_header

WALL_NS = 1_764_000_000_000_000_000
CARD = "4111 1111 1111 1111"
MAIL = "ada.lovelace@example.org"
ASKED = json.dumps({"messages": [{"role": "user", "content": f"I am {MAIL}, card {CARD}"}]})
ANSWER = {
    "id": "chatcmpl-9", "model": "m", "usage": usage(11, 3),
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": f"So {MAIL}"}}],
}  # fmt: skip
FAILED = Script(9, 9).client(request(b"{}")).engine(answer({"error": {"message": "no"}}, 500))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A file of two chats, one of them a stream, of a failure and of a health check."""
    path = tmp_path / "frames"
    scripts = [
        Script(1, 1).client(request(ASKED.encode())).engine(answer(ANSWER)),
        Script(2, 2).client(request(ASKED.encode())).engine(*CHAT_STREAM),
        Script(3, 3).client(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").engine(answer({})),
        FAILED,
    ]
    path.write_bytes(
        file_header(0, WALL_NS) + b"".join(script.close().encoded() for script in scripts)
    )
    return path


def lines_of(output: str) -> list[str]:
    """JSON lines end with a line feed alone; others may be in them."""
    return output.split("\n")[:-1]


def written(tmp_path: Path, **settings: Any) -> Path:
    """A file of settings."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"version": 1, **settings}))
    return path


def shipped(
    capsys: pytest.CaptureFixture[str], recording: Path, config: Path | None = None
) -> list[dict[str, Any]]:
    """The records of a replay that went well."""
    more = ["--config", str(config)] if config else []
    assert main(["replay", str(recording), "--capture", *more]) == 0
    return [json.loads(line) for line in lines_of(capsys.readouterr().out)]


def test_without_settings_all_of_it_is_there_masked(
    recording: Path, capsys: pytest.CaptureFixture[str]
):
    """Both sides, streams put together, and what is no inference is none."""
    assert main(["replay", str(recording), "--capture"]) == 0
    output = capsys.readouterr()
    assert MAIL not in output.out
    assert CARD not in output.out
    first, second, failed = (json.loads(line) for line in lines_of(output.out))
    assert first["payloads"] == "Redacted"
    said = first["request"]["content"]["messages"][0]["content"]
    assert said == "I am [EMAIL], card [CARD]"
    assert first["response"]["content"]["choices"][0]["message"]["content"] == "So [EMAIL]"
    assert first["findings"] == {"email": 2, "card": 1}
    assert second["stream"]
    assert second["response"]["content"]["choices"][0]["message"]["content"] == "Hello\u2028 you"
    assert (failed["code"], failed["kept_for"]) == (500, ["error", "sampled"])
    assert output.err == ("3 records; by capture.keep 0 were none, 0 had no room in the spool\n")


def test_twice_is_the_same_to_the_byte(recording: Path, capsys: pytest.CaptureFixture[str]):
    """Ids and times, too."""
    outputs = []
    for _ in range(2):
        main(["replay", str(recording), "--capture"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != ""


def test_the_settings_of_a_sidecar_are_in_force(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    """What is kept, the user's patterns; without a sink, as if there were one."""
    capture = {
        "payloads": "Redacted",
        "keep": {"share": 0},
        "redaction": {"patterns": [{"name": "OWN_WORD", "pattern": "no"}]},
    }
    (record,) = shipped(capsys, recording, written(tmp_path, model="chat", capture=capture))
    assert record["code"] == 500
    assert record["response"]["content"] == {"error": {"message": "[OWN_WORD]"}}
    assert record["origin"]["observed_model"] == "chat"


def test_off_is_metadata_alone_and_full_is_as_it_passed(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    """As in a pod."""
    for record in shipped(capsys, recording, written(tmp_path)):
        assert record["payloads"] == "Off"
        assert not {"request", "response", "findings"} & record.keys()
    full = shipped(capsys, recording, written(tmp_path, capture={"payloads": "Full"}))
    assert CARD in json.dumps(full[0]["request"]["content"])


def test_settings_that_cannot_be_used_show_no_payload_and_say_why(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    """As in a pod: records without payload. Exit status 1."""
    capture = {
        "payloads": "Redacted",
        "redaction": {"patterns": [{"name": "WORD", "pattern": "("}]},
    }
    config = written(tmp_path, capture=capture)
    assert main(["replay", str(recording), "--capture", "--config", str(config)]) == 1
    output = capsys.readouterr()
    records = [json.loads(line) for line in lines_of(output.out)]
    assert {r["request"]["left_out"] for r in records} == {"settings_refused"}
    assert MAIL not in output.out
    assert "no payload is recorded: " in output.err


def test_a_truncated_file_gives_what_is_whole(recording: Path, capsys: pytest.CaptureFixture[str]):
    """And exit status 1, with the place on stderr."""
    recording.write_bytes(recording.read_bytes()[:-5])
    assert main(["replay", str(recording), "--capture"]) == 1
    output = capsys.readouterr()
    assert len(lines_of(output.out)) == 3
    assert "at byte " in output.err


def test_files_that_cannot_be_read_are_said(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    """A sentence each."""
    assert main(["replay", str(tmp_path / "none"), "--capture"]) == 1
    assert "No such file" in capsys.readouterr().err
    none = str(tmp_path / "none.json")
    assert main(["replay", str(recording), "--capture", "--config", none]) == 1
    assert "No such file" in capsys.readouterr().err
    wrong = str(written(tmp_path, capture={"payloads": "All"}))
    assert main(["replay", str(recording), "--capture", "--config", wrong]) == 1
    assert "capture.payloads" in capsys.readouterr().err


def test_a_configuration_is_for_capture_alone(recording: Path):
    """Nothing else of a replay looks at it, so it is no use to say one."""
    with pytest.raises(SystemExit, match="2"):
        main(["replay", str(recording), "--config", "x"])
    with pytest.raises(SystemExit, match="2"):
        main(["replay", str(recording), "--capture", "--format", "metrics"])


@pytest.mark.parametrize("payloads", ["Off", "Redacted", "Full"])
def test_nothing_of_heads_leaves_but_ids(
    tmp_path: Path, payloads: str, capsys: pytest.CaptureFixture[str]
):
    """Credentials, cookies, what a client is, queries, addresses: in no mode."""
    head = request(ASKED.encode(), path="/v1/chat/completions?key=query-word").replace(
        b"Host: x\r\n",
        b"Host: host-word\r\nAuthorization: Bearer head-word\r\nCookie: a=head-word\r\n"
        b"User-Agent: head-word\r\nX-Forwarded-For: head-word\r\nX-Request-Id: r-1\r\n",
    )
    said = answer(ANSWER).replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=head-word\r\n\r\n", 1)
    path = tmp_path / "frames"
    path.write_bytes(
        file_header(0, WALL_NS) + Script(1, 1).client(head).engine(said).close().encoded()
    )
    (record,) = shipped(capsys, path, written(tmp_path, capture={"payloads": payloads}))
    assert record["request_id"] == "r-1"
    told = json.dumps(record)
    for word in ("head-word", "query-word", "host-word", "a:1", "b:2", "/v1/"):
        assert word not in told


def test_a_stream_that_nobody_counted_is_a_record_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """In a pod it waits for the engine's tokenizer; here there is no engine: an estimate."""
    head = request(b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}')
    stream = [STREAM_HEAD, delta(content="Hel"), delta(content="lo"), delta("stop")]
    path = tmp_path / "frames"
    script = Script(1, 1).client(head).engine(*stream, DONE + STREAM_END).close()
    path.write_bytes(file_header(0, WALL_NS) + script.encoded())
    (record,) = shipped(capsys, path)
    assert record["tokens"] == {"source": "estimated", "output": 2}
