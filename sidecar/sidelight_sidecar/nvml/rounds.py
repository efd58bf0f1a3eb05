"""The threads that read: all devices at a steady pace, and errors as the driver tells of them.

Rules:
1. Rounds keep to their times: one that would be late is left out, and never made up for.
2. A device that is lost is left alone, and told once; when none is left the process ends.
3. What a thread does not expect ends the process, in words.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import pynvml

from sidelight_sidecar.nvml.discovery import Found, unsupported
from sidelight_sidecar.nvml.library import (
    TIMEOUT,
    EndError,
    LostError,
    TransientError,
    UnsupportedError,
    asked,
)
from sidelight_sidecar.nvml.outbox import Outbox
from sidelight_sidecar.nvml.plan import NOT_SUPPORTED, address, nested, same
from sidelight_sidecar.nvml.words import Outcome

EVENT_WAIT_MS = 1000
_ANY_INSTANCE = 0xFFFFFFFF


def start_thread(name: str, work: Callable[[], None], outbox: Outbox) -> None:
    """Run `work` until it ends; it never keeps the process alive, for it may hang in the driver."""

    def run() -> None:
        try:  # rule 3
            work()
        except EndError as why:
            outbox.end(why)
        except Exception as error:  # noqa: BLE001
            outbox.end(EndError(Outcome.FAILED, f"{name}: {type(error).__name__}: {error}"))

    threading.Thread(target=run, name=name, daemon=True).start()


class Rounds:
    """Reads every device again and again.

    Args:
        found: the devices; a row has their place.
        fast: which of their plans.
        seconds: from one round to the next.
        outbox: where rows and news go.
    """

    def __init__(
        self, found: Sequence[Found], *, fast: bool, seconds: float, outbox: Outbox
    ) -> None:
        self._found = found
        self._fast = fast
        self._plans = [one.fast if fast else one.slow for one in found]
        self._period_ns = round(seconds * 1e9)
        self._outbox = outbox

    def run(self) -> None:
        """Go on for ever.

        Raises:
            EndError: the driver is gone, or no device is left.
        """
        due = time.monotonic_ns()
        while True:
            self.one()
            now = time.monotonic_ns()
            due = next_round(due, now, self._period_ns)
            time.sleep((due - now) / 1e9)

    def one(self) -> None:
        """Read every device once."""
        for place, one in enumerate(self._found):
            if not one.lost:
                self._read(place)
        if news := unsupported(self._plans):
            self._outbox.tell({"kind": "unsupported", "signals": news})

    def _read(self, place: int) -> None:
        before = time.monotonic_ns()
        try:
            values = self._plans[place].read()
        except LostError as error:
            lose(place, self._found, error, self._outbox)
            return
        if values is not None:
            at = (before + time.monotonic_ns()) // 2
            self._outbox.add((place, at, nested(values)), fast=self._fast)


def next_round(due: int, now: int, period: int) -> int:
    """When the next round is due: the first multiple of the period from `due` that is not past."""
    return due + period * max(1, -(-(now - due) // period))


def lose(place: int, found: Sequence[Found], error: LostError, outbox: Outbox) -> None:
    """Leave a device alone from now on, and say so.

    Raises:
        EndError: it was the last one.
    """
    if not found[place].lost:
        found[place].lost = True
        outbox.tell({"kind": "lost", "device": place, "code": error.code, "text": str(error)})
    if all(one.lost for one in found):
        raise EndError(Outcome.DEVICES_LOST, str(error), error.code)


class Errors:
    """Waits for XID errors of the devices.

    Args:
        found: the devices.
        outbox: where each error goes.
    """

    def __init__(self, found: Sequence[Found], outbox: Outbox) -> None:
        self._found = found
        self._outbox = outbox

    def run(self) -> None:
        """Wait for ever, or until it is clear that the driver tells of none.

        Raises:
            EndError: the driver is gone.
        """
        try:
            events = asked(pynvml.nvmlEventSetCreate)
            self._register(events)
            while True:
                self._wait(events)
        except UnsupportedError as error:
            signals = {"xid_errors": str(error) or NOT_SUPPORTED}
            self._outbox.tell({"kind": "unsupported", "signals": signals})

    def _register(self, events: object) -> None:
        """Ask for the errors of every device that tells of them.

        Raises:
            UnsupportedError: none does.
        """
        kind = pynvml.nvmlEventTypeXidCriticalError
        wholes = {address(one.whole): one.whole for one in self._found}
        why = UnsupportedError(NOT_SUPPORTED)
        registered = 0
        for whole in wholes.values():
            try:
                asked(partial(pynvml.nvmlDeviceRegisterEvents, whole, kind, events))
                registered += 1
            except UnsupportedError as error:
                why = error
            except (LostError, TransientError):
                continue
        if not registered:
            raise why

    def _wait(self, events: object) -> None:
        try:
            event = asked(lambda: pynvml.nvmlEventSetWait_v2(events, EVENT_WAIT_MS))
        except (LostError, TransientError) as error:
            if error.code != TIMEOUT:  # it did not wait: one of the devices is lost, say
                time.sleep(EVENT_WAIT_MS / 1000)
            return
        for place in self._places(event.device, event.gpuInstanceId):
            self._outbox.tell({"kind": "xid", "device": place, "xid": int(event.eventData)})

    def _places(self, handle: object, instance: int) -> list[int]:
        """The devices that an error is of: of an instance's, that one; else all of the device."""
        return [
            place
            for place, one in enumerate(self._found)
            if same(one.whole, handle)
            and (instance in (_ANY_INSTANCE, one.instance) or one.instance < 0)
        ]
