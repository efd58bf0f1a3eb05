"""Which exchanges are handed over, with which bodies, and what becomes of the rest."""

from observed import (
    CHAT_STREAM,
    STREAM_HEAD,
    Script,
    answer,
    delta,
    request,
    usage,
)

from sidelight_contract.capture import CaptureSettings, KeepSettings, Payloads
from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import Captured, Messages, encode, to_capture
from sidelight_sidecar.records.record import Tokens, Trace

UNIX_NS = 1_764_000_000_000_000_000
BODY = b'{"stream":true,"messages":[{"role":"user","content":"a@example.org"}]}'
ANSWER = {
    "id": "chatcmpl-9", "model": "m", "usage": usage(11, 3),
    "choices": [{"index": 0, "finish_reason": "length", "message": {"content": "Hi"}}],
}  # fmt: skip


class World:
    """A pipeline that offers, and what was handed over."""

    def __init__(self, limit: int = 1 << 16, **settings: object) -> None:
        self.given: list[Captured] = []
        self.room = True
        self.settings = CaptureSettings(**{"payloads": Payloads.REDACTED, **settings})  # type: ignore[arg-type]
        self.pipeline = Pipeline(0, UNIX_NS, SidecarConfig(version=1, capture=self.settings))
        self.offers = self.pipeline.offers
        self.offers.give = self._give
        self.context = self.pipeline.context
        self.context.keep_bodies = limit
        self.pipeline.counter.stop_waiting()

    def _give(self, captured: Captured) -> bool:
        self.given.append(captured)
        return self.room

    def see(self, *scripts: Script) -> "World":
        for script in scripts:
            self.pipeline.feed(script.frames)
        return self

    @property
    def held(self) -> int:
        """Bytes of bodies that are kept now."""
        return self.context.body_budget.kept


def test_a_stream_is_handed_over_with_both_bodies_as_they_passed():
    """Framing is not part of a body; the record has times, tokens and why it was kept."""
    world = World().see(Script().client(request(BODY)).engine(*CHAT_STREAM))
    (captured,) = world.given
    record = captured.record
    assert (record.operation, record.api, record.model, record.code) == (
        "chat", "openai", "m", 200,
    )  # fmt: skip
    assert record.tokens == Tokens(source="usage", prompt=11, output=3, cached_prompt=4)
    assert (record.kept_for, record.probability) == (["sampled"], 1.0)
    assert record.times.start_unix_ns == UNIX_NS + 10_000_000
    assert record.times.time_to_first_token_seconds == 0.03
    assert (captured.request.data, captured.request.ended) == (BODY, True)
    assert captured.response.media_type == "text/event-stream"
    assert captured.response.data.startswith(b'data: {"id": "chatcmpl-1"')
    assert captured.response.data.endswith(b"data: [DONE]\n\n")
    assert captured.response.ended
    assert world.held == 0


def test_what_is_not_kept_is_let_go_at_once():
    """And nothing is given."""
    world = World(keep=KeepSettings(share=0)).see(
        Script().client(request(BODY)).engine(*CHAT_STREAM)
    )
    assert (world.given, world.held) == ([], 0)
    assert (world.offers.kept, world.offers.passed, world.offers.beyond) == (0, 1, 0)


def test_what_is_no_inference_is_never_kept():
    """A health check has no record, and its body is not looked at."""
    head = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    world = World().see(Script().client(head).engine(answer({})))
    assert (world.given, world.held) == ([], 0)


def test_a_body_is_cut_at_the_limit_and_says_how_long_it_was():
    """Both sides, each by itself."""
    world = World(limit=1024).see(
        Script().client(request(b'{"x":"' + b"y" * 5000 + b'"}')).engine(answer(ANSWER))
    )
    (captured,) = world.given
    assert (len(captured.request.data), captured.request.size) == (1024, 5008)
    assert captured.response.size == len(captured.response.data)


def test_without_room_in_the_budget_a_body_is_cut_and_other_exchanges_go_on():
    """Bodies have a budget of their own; all of it comes back."""
    world = World()
    world.context.body_budget.limit = 8192
    world.see(Script().client(request(b"[" + b" " * 20_000 + b"]")).engine(answer(ANSWER)))
    (captured,) = world.given
    assert 4096 <= len(captured.request.data) <= 8192
    assert captured.record.tokens.output == 3
    assert world.held == 0


def test_a_client_that_leaves_is_kept_with_what_it_got():
    """The response did not end, and says so."""
    script = Script().client(request(BODY)).engine(STREAM_HEAD, delta(content="Hel"))
    world = World(keep=KeepSettings(share=0)).see(script.close())
    (captured,) = world.given
    assert captured.record.kept_for == ["abandoned"]
    assert captured.record.code == 499
    assert not captured.response.ended
    assert b"Hel" in captured.response.data


def test_what_is_lost_sight_of_leaves_nothing_behind():
    """A gap in the frames."""
    script = Script().client(request(BODY)).engine(STREAM_HEAD, delta(content="Hel"))
    world = World().see(script)
    assert world.held > 0
    at_ns = script.frames[-1][2] + 1
    world.pipeline.feed([(script.flow, codec.GAP, at_ns, 0, b'{"reason":"queue_full"}')])
    assert (world.given, world.held) == ([], 0)


def test_where_nobody_takes_records_nothing_is_decided():
    """And nothing is kept."""
    world = World()
    world.offers.give = None
    world.see(Script().client(request(BODY)).engine(*CHAT_STREAM))
    assert (world.offers.kept, world.offers.passed, world.held) == (0, 0, 0)


def test_no_room_over_there_is_counted():
    """Nothing waits for it."""
    world = World()
    world.room = False
    world.see(Script().client(request(BODY)).engine(*CHAT_STREAM))
    assert (world.offers.kept, world.offers.no_room, world.held) == (1, 1, 0)


def test_off_hands_over_metadata_alone():
    """Even where bodies had been kept before it was turned off."""
    world = World(payloads=Payloads.OFF).see(Script().client(request(BODY)).engine(*CHAT_STREAM))
    (captured,) = world.given
    assert (captured.request.data, captured.response.data) == (b"", b"")
    assert captured.record.payloads == "Off"
    assert captured.record.tokens.output == 3


def test_the_id_of_a_cloud_event_goes_before_that_of_a_mesh():
    """As KServe's logger has it: whoever sent the event joins by it."""
    head = request(BODY).replace(b"Host: x\r\n", b"Host: x\r\nX-Request-Id: r-7\r\nCe-Id: e-1\r\n")
    (captured,) = World().see(Script().client(head).engine(*CHAT_STREAM)).given
    assert captured.record.request_id == "e-1"


def test_where_binary_tensors_begin_is_handed_over():
    """What the header says, if it is a number; an answer has its own."""
    tensors = b'{"inputs":[]}\x01\x00\x00\x00x'
    for said, expected in ((b"13", 13), (b"-1", 0), (b"99999999999", 0)):
        head = (
            b"POST /v2/models/m/infer HTTP/1.1\r\nInference-Header-Content-Length: %s\r\n"
            b"Host: x\r\nContent-Length: %d\r\n\r\n%s" % (said, len(tensors), tensors)
        )
        answered = (
            b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 14\r\nContent-Length: 15\r\n\r\n"
            b'{"outputs":[]}\x00'
        )
        (captured,) = World().see(Script().client(head).engine(answered).close()).given
        assert (captured.request.data, captured.request.json_bytes) == (tensors, expected)
        assert captured.response.json_bytes == 14


def test_the_clients_own_id_and_trace_are_the_records():
    """`x-request-id` and `traceparent`."""
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    head = request(BODY).replace(
        b"Host: x\r\n",
        f"Host: x\r\nX-Request-Id: r-7\r\ntraceparent: 00-{trace}-{parent}-01\r\n".encode(),
    )
    world = World().see(Script().client(head).engine(answer(ANSWER)))
    (captured,) = world.given
    assert captured.record.request_id == "r-7"
    assert captured.record.trace == Trace(trace, parent, True)
    other = World().see(Script().client(request(BODY)).engine(answer(ANSWER)))
    assert (other.given[0].record.request_id, other.given[0].record.trace) == ("chatcmpl-9", None)


def test_a_replay_makes_the_same_records():
    """Their ids, too, so that a second delivery is known."""
    script = Script().client(request(BODY)).engine(*CHAT_STREAM)
    assert World().see(script).given == World().see(script).given


def test_what_is_handed_over_arrives_as_it_was_however_it_is_cut():
    """The message format, over a stream of bytes."""
    captured = World().see(Script().client(request(BODY)).engine(*CHAT_STREAM)).given[0]
    data = encode(captured) * 2
    for size in (1, 7, len(data)):
        messages: Messages = to_capture()
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [message for piece in pieces for message in messages.feed(piece)] == [captured] * 2
