"""The driver's library: loading it, and what its error codes mean to us."""

import ctypes
from collections.abc import Callable
from typing import TypeVar

import pynvml

from sidelight_sidecar.nvml.words import Outcome

T = TypeVar("T")
LIBRARY = "libnvidia-ml.so.1"
ELSEWHERE = (
    "/usr/local/nvidia/lib64",  # where GKE's device plugin mounts it, outside the loader's path
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
)

NO_PERMISSION = 4
TIMEOUT = 10
_UNSUPPORTED = frozenset({
    2,  # invalid argument: how an old driver answers what it does not know yet
    3,  # not supported
    NO_PERMISSION,
    6,  # not found
    13,  # function not found
    17,  # blocked by the operating system
    22,  # not on a virtual device
    25,  # argument version mismatch
    26,  # deprecated, and gone
})  # fmt: skip
_LOST = frozenset({15, 16, 28})  # is lost, requires reset, not found
_GONE = {
    1: Outcome.DRIVER_RESET,
    9: Outcome.DRIVER_NOT_LOADED,
    12: Outcome.LIBRARY_NOT_FOUND,
    18: Outcome.VERSION_MISMATCH,
}


class EndError(Exception):
    """The process has nothing more to read.

    Attributes:
        outcome: why.
        code: the library's, or 0.
    """

    def __init__(self, outcome: Outcome, text: str = "", code: int = 0) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.code = code


class _CallError(Exception):
    """What is wrong with a call.

    Attributes:
        code: the library's, or 0.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class LostError(_CallError):
    """The device does not answer any more."""


class UnsupportedError(_CallError):
    """The device or driver does not tell this."""


class TransientError(_CallError):
    """Not this time."""


def judged(code: int, text: str) -> Exception:
    """The exception that a code of the library means."""
    if code in _GONE:
        return EndError(_GONE[code], text, code)
    if code in _LOST:
        return LostError(text, code)
    if code in _UNSUPPORTED:
        return UnsupportedError(text, code)
    return TransientError(text, code)


def asked(call: Callable[[], T]) -> T:
    """What a call of the library gives.

    Raises:
        UnsupportedError, TransientError: of this call alone.
        LostError: of its device.
        EndError: of the whole driver.
    """
    try:
        return call()
    except pynvml.NVMLError as error:
        raise judged(error.value, str(error)) from None


def open_library() -> None:
    """Load and initialise it.

    Raises:
        EndError: it is not here, or the driver refuses.
    """
    why = _preload()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        code = error.value
        outcome = Outcome.NO_PERMISSION if code == NO_PERMISSION else _GONE.get(code)
        text = why if outcome is Outcome.LIBRARY_NOT_FOUND else str(error)
        raise EndError(outcome or Outcome.FAILED, text, code) from None


def _preload() -> str:
    """Load it from where the loader does not look; whoever asks by name gets that one then.

    Returns:
        Why the loader did not find it by its name; empty: it did.
    """
    why = ""
    for place in ("", *(f"{folder}/" for folder in ELSEWHERE)):
        try:
            ctypes.CDLL(place + LIBRARY)
        except OSError as error:
            why = why or str(error)
        else:
            break
    return why
