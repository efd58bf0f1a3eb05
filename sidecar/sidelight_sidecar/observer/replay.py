"""`sidelight-sidecar replay FILE`: the same numbers from the same frames, every time."""

import json
from collections.abc import Iterator
from pathlib import Path

from sidelight_contract.config import SidecarConfig
from sidelight_contract.summary import encode_summary
from sidelight_sidecar.frames.codec import FrameError
from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.pipeline import Pipeline

_BATCH = 1024
_SHOWN = (
    "flow", "protocol", "method", "operation", "dialect", "code", "error", "unread", "stream",
    "model", "model_version", "response_id", "choices", "arrivals", "events",
    "first_arrival_tokens", "has_output", "token_source", "prompt_tokens", "output_tokens",
    "cached_tokens", "reasoning_tokens", "tool_calls", "server_tool_calls", "finish_reasons",
    "bytes_in", "bytes_out", "start_ns", "request_end_ns", "response_start_ns",
    "first_output_ns", "first_visible_ns", "last_output_ns", "stop_ns",
)  # fmt: skip


class Lines(Consumer):
    """Keeps a JSON line for each finished exchange: no payload, no path, no address."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def finished(self, exchange: Exchange) -> None:
        """One line."""
        self.lines.append(json.dumps({name: getattr(exchange, name) for name in _SHOWN}))


def replay(path: Path, form: str) -> Iterator[str | FrameError]:
    """The output in the asked form (`exchanges`, `metrics`, `summary`), then the error, if the
    file is damaged or cut off: what is whole before it counts.
    """
    lines = Lines()
    failure: FrameError | None = None
    with path.open("rb") as file:
        try:
            reader = FrameFileReader(file)
        except FrameError as error:
            yield error
            return
        config = SidecarConfig(version=1)
        pipeline = Pipeline(reader.monotonic_ns, reader.wall_ns, config, lines)
        batch = []
        try:
            for frame in reader:
                batch.append(frame)
                if len(batch) == _BATCH:
                    pipeline.feed(batch)
                    batch = []
        except FrameError as error:
            failure = error
        pipeline.feed(batch)
    if form == "exchanges":
        yield from lines.lines
    elif form == "metrics":
        yield pipeline.exposition().decode().rstrip("\n")
    else:
        yield encode_summary(pipeline.summary(pipeline.flows.last_ns)).decode()
    if failure is not None:
        yield failure
