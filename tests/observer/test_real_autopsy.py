"""Why a request was slow, provoked with a real llama.cpp server: the autopsy names it rightly.

How fast the machine is decides nothing here. What is held up on purpose is held up in proportion to
what the engine took until then; where an answer may be over before it is disturbed, it is tried
again, and only what was disturbed is judged.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from raw_chat import Chat, stop_in_the_midst
from real_engine import SERVER, free_port, get, process
from relay_harness import wait_for

from sidelight_contract.autopsy import Autopsy, Cause
from sidelight_contract.summary import decode_summary

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(180)]
TRIES = 5


class Engine:
    """A real llama.cpp server with two slots."""

    def __init__(self, pid: int, port: int, kill: Callable[[], None]) -> None:
        self.pid = pid
        self.port = port
        self.kill = kill


@contextlib.contextmanager
def running_engine() -> Iterator[Engine]:
    """One that is healthy."""
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    port = free_port()
    arguments = ["--port", str(port), "--metrics", "--parallel", "2", "--ctx-size", "8192"]
    with process(str(SERVER), *arguments) as running:
        wait_for(lambda: get(port, "/health"), "the engine is healthy")

        def kill() -> None:
            running.kill()
            running.wait(20)

        yield Engine(running.pid, port, kill)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One for all tests that do not end it."""
    with running_engine() as running:
        yield running


class Sidecar:
    """A running sidecar's ports."""

    def __init__(self, port: int, admin: int) -> None:
        self.address = ("127.0.0.1", port)
        self.admin = admin

    def chat(
        self, words: str, tokens: int, upload_seconds: float = 0.0, **settings: object
    ) -> Chat:
        """A chat through it."""
        return Chat(self.address, words, tokens, upload_seconds=upload_seconds, **settings)

    def ended(self) -> int:
        """Requests that have ended."""
        summary = decode_summary(get(self.admin, "/summary"))
        return sum(part.requests for part in summary.total)

    def autopsies(self, count: int) -> list[Autopsy]:
        """All of them in the order of time, once so many requests have ended."""
        wait_for(lambda: self.ended() >= count, "all requests have ended")
        told = decode_summary(get(self.admin, "/summary")).autopsies
        return sorted(told, key=lambda autopsy: autopsy.at)

    def stands(self) -> bool:
        """Whether the relay, which speaks once a second, passed nothing on for two."""
        before = decode_summary(get(self.admin, "/summary")).relay.bytes_to_client
        time.sleep(2.2)
        return decode_summary(get(self.admin, "/summary")).relay.bytes_to_client == before > 0


@contextlib.contextmanager
def running_sidecar(engine: Engine) -> Iterator[Sidecar]:
    """One that is healthy."""
    port, admin = free_port(), free_port()
    arguments = [
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine.port}", "--admin", f"127.0.0.1:{admin}",
    ]  # fmt: skip
    with process(*arguments):
        wait_for(lambda: get(admin, "/healthz"), "the sidecar is healthy")
        yield Sidecar(port, admin)


@pytest.fixture
def sidecar(engine: Engine) -> Iterator[Sidecar]:
    """One that has seen nothing yet."""
    with running_sidecar(engine) as running:
        yield running


def until_disturbed(attempt: Callable[[], bool]) -> int:
    """Which attempt met an answer that was under way still."""
    for number in range(1, TRIES + 1):
        if attempt():
            return number
    raise AssertionError("each answer was over before it could be disturbed")


def rest(*chats: Chat) -> None:
    """Read all of them to their ends, at once."""
    with ThreadPoolExecutor(len(chats)) as pool:
        list(pool.map(Chat.rest, chats))


def test_prompt_of_a_neighbour_that_stops_a_stream_is_named(sidecar: Sidecar) -> None:
    """The short one stood still until the long one's first token; it says so, with both sizes."""

    def attempt() -> bool:
        short = sidecar.chat("Count.", 24).until(4)
        words = " ".join(f"rain{n}" for n in range(200))
        long = sidecar.chat(words, 1, cache_prompt=False)
        under_way = not short.ended()
        rest(short, long)
        return under_way

    count = 2 * until_disturbed(attempt)
    found = [a for a in sidecar.autopsies(count) if a.output_tokens == 24][-1]
    assert found.cause == Cause.LONG_PROMPT_NEIGHBOUR, found
    assert found.stalls
    assert "rain" not in found.said


def test_own_long_prompt_is_named(sidecar: Sidecar) -> None:
    """By the engine's own word on how long it computed the prompt."""
    sidecar.chat(" ".join(f"snow{n}" for n in range(160)), 2).rest()
    (found,) = sidecar.autopsies(1)
    assert found.cause == Cause.LONG_PROMPT, found


def test_client_that_sends_slowly_is_named(sidecar: Sidecar) -> None:
    """The last byte of its request comes late."""
    usual = sidecar.chat("Count.", 1)
    usual.rest()
    sidecar.chat("Count.", 1, upload_seconds=max(1.0, 3 * usual.lasted)).rest()
    (_, found) = sidecar.autopsies(2)
    assert found.cause == Cause.SLOW_UPLOAD, found


def test_client_that_reads_slowly_is_named(sidecar: Sidecar) -> None:
    """It reads nothing until all buffers are full (`n_probs` makes each output large), and then as
    long again.
    """
    slow = sidecar.chat("Count.", 120, n_probs=800).until(1)
    wait_for(sidecar.stands, "the relay passes nothing on")
    time.sleep(max(4.0, slow.lasted))  # what is provoked: a client that does not read
    slow.rest()
    (found,) = sidecar.autopsies(1)
    assert found.cause == Cause.SLOW_READER, found


def test_full_queue_is_named(sidecar: Sidecar) -> None:
    """Two slots and four requests: the last two wait until the first two are done."""

    def attempt() -> bool:
        first = [sidecar.chat(f"Count to {n}.", 150).until(1) for n in range(2)]
        last = [sidecar.chat(f"Count from {n}.", 4) for n in range(2)]
        under_way = not any(chat.ended() for chat in first)
        rest(*first, *last)
        return under_way

    count = 4 * until_disturbed(attempt)
    found = [a for a in sidecar.autopsies(count) if a.output_tokens == 4][-2:]
    assert [a.cause for a in found] == [Cause.QUEUED, Cause.QUEUED], found


def test_engine_that_stands_still_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """Stopped in the middle of an answer."""

    def attempt() -> bool:
        chat = sidecar.chat("Count.", 24).until(4)
        under_way = stop_in_the_midst(engine.pid, chat)
        chat.rest()
        return under_way

    found = sidecar.autopsies(until_disturbed(attempt))[-1]
    assert found.cause == Cause.UPSTREAM_STALL, found


def test_long_answer_is_named(sidecar: Sidecar) -> None:
    """By how many tokens are usual."""
    for number in range(6):
        sidecar.chat(f"Count to {number}.", 2).rest()
    sidecar.chat("Count.", 100).rest()
    (found,) = [a for a in sidecar.autopsies(7) if a.output_tokens == 100]
    assert found.cause == Cause.MANY_TOKENS, found


def test_client_that_left_is_named(sidecar: Sidecar) -> None:
    """In the middle of the answer."""

    def attempt() -> bool:
        chat = sidecar.chat("Count.", 200).until(3)
        under_way = not chat.ended()
        chat.socket.close()
        return under_way

    found = sidecar.autopsies(until_disturbed(attempt))[-1]
    assert (found.cause, found.error) == (Cause.CLIENT_LEFT, "client_disconnect")


def test_engine_that_dies_is_named_and_so_is_one_that_is_away() -> None:
    """Killed in the middle of an answer; the next request finds nobody."""
    with running_engine() as engine, running_sidecar(engine) as sidecar:
        chat = sidecar.chat("Count.", 2000).until(3)
        engine.kill()
        with contextlib.suppress(ConnectionError):
            chat.rest()
        (died,) = sidecar.autopsies(1)

        def seen() -> bool:  # a connection may be refused before its request is read
            with contextlib.suppress(ConnectionError, AssertionError):
                sidecar.chat("Count.", 1).rest()
            return sidecar.ended() > 1

        wait_for(seen, "a request that finds no engine")
        away = sidecar.autopsies(2)[-1]
    assert (died.cause, away.cause) == (Cause.ENGINE_RESET, Cause.ENGINE_UNREACHABLE), (died, away)
