"""A response that no dialect knows: timings, status and sizes are all there is."""

from sidelight_sidecar.observer.exchange import Exchange, status_error


class PlainReader:
    """Reads nothing."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def head(self, status: int, content_type: str, *, encoded: bool) -> None:  # noqa: ARG002
        """The status is all there is."""
        self._exchange.error = status_error(status)

    def body(self, data: bytes, at_ns: int) -> float | None:  # noqa: ARG002
        """Nothing to do."""
        return None

    def end(self, *, whole: bool) -> None:
        """Nothing to do."""
