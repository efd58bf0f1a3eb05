"""Why a body has no content: the reasons that are counted, and the error that carries one."""

import enum


class Dropped(enum.StrEnum):
    """Why a body was left out; each is the value of a metric's label."""

    EMPTY = "empty"
    """There was none."""
    UNSUPPORTED = "unsupported"
    """Neither JSON nor text: protobuf, multipart, audio, images, archives."""
    NOT_JSON = "not_json"
    """It says or has to be JSON, and is not: also NaN, and numbers that nothing can hold."""
    NOT_TEXT = "not_text"
    """It says that it is text, and is in an encoding that is not read, or has NULs in it."""
    CUT = "cut"
    """Only its beginning was kept, and it is of no use without the end."""
    TOO_LARGE = "too_large"
    """It has more bytes than are read, or would have more than are passed on."""
    TOO_DEEP = "too_deep"
    """It is nested deeper than is followed."""
    TOO_MANY = "too_many"
    """It has more values than are followed."""
    FAILED = "failed"
    """Masking or reading raised: nothing is passed that was not looked at."""


class DroppedError(Exception):
    """A body is dropped; nothing of it is in the error.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Dropped) -> None:
        super().__init__(reason.value)
        self.reason = reason
