"""What a dialect's reader has to do."""

from typing import Protocol


class Reader(Protocol):
    """Reads one response body, and writes what it learns into its exchange."""

    def head(self, status: int, content_type: str, *, encoded: bool) -> None:
        """Status and content type are known; `encoded`: the body is compressed."""

    def body(self, data: bytes, at_ns: int) -> float | None:
        """One read brought `data`; return the gap in seconds if it was a further arrival."""

    def end(self, *, whole: bool) -> None:
        """The body is over; `whole`: it ended as its framing says."""
