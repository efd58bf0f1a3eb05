"""The tee: frames for the observer, in a queue that is bounded in bytes.

Rules:
1. It never delays traffic: writes are non-blocking and come after the forward.
2. Frames are batched: a batch goes when it has 64 KiB or is 50 ms old.
3. When a frame does not fit, its *whole flow* becomes unobserved: one `G` frame, then nothing of it
   until the queue has drained below half. `G`, `R` and `X` always fit; there is at most one of each
   for an open flow between two drains, so what they add to the limit is bounded.
4. What the observer does not get is counted: flows by reason, bytes.
5. A new observer starts with an empty queue and gets `O` and `G` of each open flow, so it knows
   which flows it has not seen from their start.
"""

from __future__ import annotations

import socket
from collections import deque
from time import monotonic_ns

from sidelight_sidecar.frames.codec import (
    CLIENT_BYTES,
    CLOSED,
    ENGINE_BYTES,
    GAP,
    HEADER,
    HEADER_BYTES,
    NO_DELAY,
    OPEN,
    RESET,
    STATS,
    FrameDecoder,
)
from sidelight_sidecar.frames.stats import HELD_SAMPLE
from sidelight_sidecar.relay.counters import Counters

BATCH_BYTES = 1 << 16
BATCH_AGE_NS = 49_000_000
"""Below 50 ms because epoll rounds waits up to whole milliseconds. A hand-over wakes the observer
and costs some 50 us with cold caches: at 10 ms that was 1 us a chunk with 64 streams of 20 ms."""
NEVER = 1 << 63
QUEUE_FULL = 1
NO_OBSERVER = 2
TRAFFIC_KINDS = (CLIENT_BYTES, ENGINE_BYTES)

_pack = HEADER.pack


class TeeState:
    """What the tee knows of one open flow.

    Attributes:
        flow: the flow's id.
        opened: payload of its `O` frame.
        announced: this observer has got its `O`.
        teed: its frames are being queued now.
        gap_reasons: bits of the reasons for which the flow was counted as gapped.
    """

    __slots__ = ("announced", "flow", "gap_reasons", "opened", "teed")

    def __init__(self, flow: int, opened: bytes) -> None:
        self.flow = flow
        self.opened = opened
        self.announced = False
        self.teed = False
        self.gap_reasons = 0


class Tee:
    """The queue of frames and the non-blocking writer to the observer's socket.

    Attributes:
        socket: the observer's, or None while none runs.
        blocked: the observer's socket is full; call `flush` when it is writable.
        due_ns: when `flush` is to be called next, `NEVER` while no frame waits in the batch.
    """

    __slots__ = (
        "_batch",
        "_block_frames",
        "_blocks",
        "_counters",
        "_limit",
        "_notice_room",
        "_open",
        "_queued_frames",
        "_room",
        "_sample_at",
        "_sent",
        "_unobserved",
        "blocked",
        "due_ns",
        "socket",
    )

    def __init__(self, limit: int, counters: Counters) -> None:
        self._limit = limit
        self._counters = counters
        self._open: dict[int, TeeState] = {}
        self._unobserved: dict[int, TeeState] = {}
        self._sample_at = 0
        self.socket: socket.socket | None = None
        self._clear()

    def _clear(self) -> None:
        self._batch: list[bytes] = []
        self._blocks: deque[bytes] = deque()
        self._block_frames: deque[int] = deque()  # how many frames each block has
        self._queued_frames = 0  # in all blocks
        self._sent = 0  # bytes of the first block that are already written
        self._room = self._limit
        self._notice_room = self._limit  # with this room or less, `_notice` is called
        self.blocked = False
        self.due_ns = NEVER

    def attach(self, observer: socket.socket) -> None:
        """Start to write to a new observer."""
        self.socket = observer
        self._unobserved = dict(self._open)
        self._resume()

    def detach(self) -> None:
        """Close the observer's socket (it is gone, or to end) and count what it did not get."""
        if self.socket is None:
            return
        self.socket.close()
        self.socket = None
        self._counters.gap_bytes += self._lost_bytes()
        self._clear()
        self._unobserved = {}
        for state in self._open.values():
            state.announced = state.teed = False
            self._count_gap(state, NO_OBSERVER)

    def open(self, flow: int, at_ns: int, opened: bytes) -> TeeState:
        """Begin a flow."""
        state = self._open[flow] = TeeState(flow, opened)
        if self.socket is None:
            self._count_gap(state, NO_OBSERVER)
        elif self._room < HEADER_BYTES + len(opened):
            self._unobserved[flow] = state
            self._count_gap(state, QUEUE_FULL)
        else:
            state.announced = state.teed = True
            self._append(flow, OPEN, at_ns, NO_DELAY, opened)
        return state

    def traffic(self, state: TeeState, kind: int, at_ns: int, delay_ns: int, data: bytes) -> None:
        """Queue bytes (or the end of bytes, without data) of one direction."""
        size = len(data)
        room = self._room - HEADER_BYTES - size
        if state.teed and room >= 0:
            # The same as `_append`, without the call: this is for every chunk of every stream.
            batch = self._batch
            batch.append(_pack(state.flow, kind, at_ns, delay_ns, size))
            batch.append(data)
            self._room = room
            if room <= self._notice_room:
                self._notice()
            return
        if state.teed:
            state.teed = False
            self._unobserved[state.flow] = state
            self._count_gap(state, QUEUE_FULL)
            self._append(state.flow, GAP, at_ns, NO_DELAY, b"")
        self._counters.gap_bytes += size

    def reset(self, state: TeeState, at_ns: int, by: bytes) -> None:
        """Queue that one side reset the flow."""
        if state.announced:
            self._append(state.flow, RESET, at_ns, NO_DELAY, by)

    def close(self, state: TeeState, at_ns: int) -> None:
        """End a flow."""
        del self._open[state.flow]
        self._unobserved.pop(state.flow, None)
        if state.announced:
            self._append(state.flow, CLOSED, at_ns, NO_DELAY, b"")

    def stats(self, at_ns: int) -> None:
        """Queue the counters, if they fit."""
        self._counters.queue_bytes, self._counters.queue_frames = self._queued()
        payload = self._counters.to_json().encode()
        if self.socket is not None and self._room >= HEADER_BYTES + len(payload):
            self._append(0, STATS, at_ns, NO_DELAY, payload)

    def flush(self) -> bool:
        """Write what the observer takes now; return False when it is gone."""
        self._seal()
        if self.socket is None:
            return True
        blocks = self._blocks
        self.blocked = False
        try:
            while blocks:
                block = blocks[0]
                sent = self.socket.send(memoryview(block)[self._sent :] if self._sent else block)
                self._room += sent
                self._sent += sent
                if self._sent == len(block):
                    blocks.popleft()
                    self._queued_frames -= self._block_frames.popleft()
                    self._sent = 0
        except BlockingIOError:
            self.blocked = True
        except OSError:
            return False
        if self._unobserved and self._room >= self._limit // 2:
            self._resume()
        return True

    def _append(self, flow: int, kind: int, at_ns: int, delay_ns: int, payload: bytes) -> None:
        size = len(payload)
        self._batch.append(_pack(flow, kind, at_ns, delay_ns, size))
        self._batch.append(payload)
        self._room -= HEADER_BYTES + size
        if self._room <= self._notice_room:
            self._notice()

    def _notice(self) -> None:
        """A batch has begun: say when it is due. Or it is full: it is due now."""
        if self.due_ns == NEVER:
            self.due_ns = monotonic_ns() + BATCH_AGE_NS
            self._notice_room = self._room - BATCH_BYTES
        else:
            self.due_ns = 0  # the loop flushes at the end of its round

    def _seal(self) -> None:
        """Turn the batch into one block, so that a queued frame costs no more than its bytes."""
        if not self._batch:
            return
        self._queued()
        self._sample_held()
        self._blocks.append(b"".join(self._batch))
        self._block_frames.append(len(self._batch) // 2)
        self._queued_frames += len(self._batch) // 2
        self._batch.clear()
        self.due_ns = NEVER
        self._notice_room = self._limit

    def _queued(self) -> tuple[int, int]:
        """Return how many bytes and frames wait, and remember the most there were."""
        counters = self._counters
        frames = self._queued_frames + len(self._batch) // 2
        size = self._limit - self._room
        counters.queue_frames_high_water = max(counters.queue_frames_high_water, frames)
        counters.queue_bytes_high_water = max(counters.queue_bytes_high_water, size)
        return size, frames

    def _sample_held(self) -> None:
        """Measure every so manieth frame of the batch; here, for no chunk has to wait for it."""
        batch = self._batch
        frames = len(batch) // 2
        for index in range(self._sample_at, frames, HELD_SAMPLE):
            delay_ns = HEADER.unpack(batch[2 * index])[3]
            if delay_ns != NO_DELAY:
                self._counters.hold(delay_ns, HELD_SAMPLE)
        self._sample_at = (self._sample_at - frames) % HELD_SAMPLE

    def _lost_bytes(self) -> int:
        """Count the traffic bytes of the frames that wait; one that is partly written is lost."""
        self._seal()
        frames = FrameDecoder()
        waiting = [frame for block in self._blocks for frame in frames.feed(block)]
        self._blocks.clear()
        return sum([len(frame[4]) for frame in waiting if frame[1] in TRAFFIC_KINDS])

    def _resume(self) -> None:
        """Observe flows again that were not, as far as half of the queue goes."""
        unobserved = self._unobserved
        while unobserved and self._room >= self._limit // 2:
            flow, state = unobserved.popitem()
            if not state.announced:
                at_ns = monotonic_ns()
                state.announced = True
                self._append(flow, OPEN, at_ns, NO_DELAY, state.opened)
                self._append(flow, GAP, at_ns, NO_DELAY, b"")
            state.teed = True

    def _count_gap(self, state: TeeState, reason: int) -> None:
        counters = self._counters
        if not state.gap_reasons:
            counters.flows_gapped += 1
        if not state.gap_reasons & reason:
            state.gap_reasons |= reason
            if reason == NO_OBSERVER:
                counters.flows_gapped_no_observer += 1
            else:
                counters.flows_gapped_queue_full += 1
