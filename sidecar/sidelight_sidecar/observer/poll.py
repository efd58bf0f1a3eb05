"""What one poll says of a request that clients ask for again and again until it is finished."""

from typing import NamedTuple


class Poll(NamedTuple):
    """One exchange's part of such a request; see `logical` for what is made of them."""

    key: str
    """Names the request among those that are open."""
    begins: bool
    """It may be the first: a request is opened for it, if none of that key is."""
    length: int = 0
    """Characters of output so far; it never shrinks while it is the same request."""
    done: bool = False
    """The output is complete."""
    finishes: tuple[str, ...] = ()
    """Why each of the outputs ended, as far as the server says so."""
    model: str = ""
    dialect: str = ""
    operation: str = ""
