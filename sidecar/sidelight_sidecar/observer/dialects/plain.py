"""A response that no dialect knows: timings, status and sizes are all there is."""


class PlainReader:
    """Reads nothing."""

    def head(self, status: int, content_type: str) -> None:
        """Nothing to do."""

    def body(self, data: bytes, at_ns: int) -> float | None:  # noqa: ARG002
        """Nothing to do."""
        return None

    def end(self, *, whole: bool) -> None:
        """Nothing to do."""
