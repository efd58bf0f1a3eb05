"""Which error classes count against the engine. Standard library only."""

NOT_FAILURES = frozenset(
    {"client_disconnect", "invalid_request", "auth", "not_found", "context_length"}
)
"""Errors that are the client's: the engine was right to refuse, or nobody waited for it."""


def is_failure(error: str) -> bool:
    """Whether an exchange with this `error_type` ("": none) failed through the engine's fault."""
    return bool(error) and error not in NOT_FAILURES
