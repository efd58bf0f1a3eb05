"""How much of what passes the observer may keep at one time, over all exchanges together.

Bodies that are read whole, events that are cut over reads, texts that wait to be counted: each is
bounded by itself, but ten thousand of them at once would not be. Who keeps bytes takes them here
first, and goes without when there are none left; nothing ever waits.
"""

KEPT_BYTES = 48 << 20
"""Default 48 MiB: a burst of a thousand long answers fits, and a fifth of the process' limit."""
KEPT_BLOCK = 512
"""Room is asked for in blocks of so many bytes."""
WORDS = 32
WORD = 15
"""So many words of so many characters at most wait; as objects they take some 64 bytes each."""
MAX_KEPT = 1 << 18
"""A longer prompt or output (bytes of UTF-8) is not kept to be counted: 256 Ki is more than a
model writes in one answer, and a prompt of some 60,000 tokens."""


class Budget:
    """Bytes that may be kept, and how many are."""

    __slots__ = ("kept", "limit", "refusals")

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.kept = 0
        self.refusals = 0
        """How often something was not kept for want of room."""

    def take(self, size: int) -> bool:
        """Say whether `size` more bytes may be kept, and count them if so."""
        if self.kept + size > self.limit:
            self.refusals += 1
            return False
        self.kept += size
        return True

    def give(self, size: int) -> None:
        """Bytes that were taken are kept no longer."""
        self.kept -= size


class Held:
    """What one holder has taken, so that it can be given back in one step."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> bool:
        """Take `size` more bytes; False: there is no room."""
        if not self._budget.take(size):
            return False
        self.size += size
        return True

    def set(self, size: int) -> bool:
        """Hold `size` bytes from now on, instead of what was held; False: no room to grow."""
        if size > self.size:
            return self.grow(size - self.size)
        self._budget.give(self.size - size)
        self.size = size
        return True

    def release(self) -> None:
        """Give all of it back."""
        self._budget.give(self.size)
        self.size = 0


class Kept:
    """Part of one exchange, kept until its tokens have been counted; all of it or nothing.

    In one buffer: as the pieces that they come in, words take up fifteen times their length.

    Attributes:
        whole: nothing is missing.
    """

    __slots__ = ("_buffer", "_held", "whole")
    _reserve = 0

    def __init__(self, budget: Budget) -> None:
        self._held = Held(budget)
        self._buffer = bytearray()
        self.whole = True

    def add(self, part: bytes) -> None:
        """Keep a further piece; without room for it, forget all that was kept."""
        if self.whole:
            self._buffer += part
            if len(self._buffer) > self._held.size - self._reserve:
                self._ask()

    def _ask(self) -> None:
        """Ask for room a block at a time, for pieces are words."""
        size = len(self._buffer) + self._reserve
        if size > MAX_KEPT or not self._held.set(size + -size % KEPT_BLOCK):
            self.forget()

    def content(self) -> bytes:
        """All that was kept."""
        return bytes(self._buffer)

    def forget(self) -> None:
        """Keep nothing, now or later: it is not needed, or cannot be had whole."""
        self.whole = False
        self.release()

    def release(self) -> None:
        """Keep it no longer."""
        self._buffer.clear()
        self._held.release()


class KeptText(Kept):
    """Output that comes a word at a time: a few words wait before they go into the buffer."""

    __slots__ = ("_words",)
    _reserve = WORDS * 64

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._words: list[str] = []

    def write(self, text: str) -> None:
        """Keep a further piece, as `add` does."""
        words = self._words
        words.append(text)
        if len(words) >= WORDS or len(text) > WORD:
            self._settle()

    def content(self) -> bytes:
        """All that was kept."""
        self._settle()
        return super().content()

    def release(self) -> None:
        """Keep it no longer."""
        self._words.clear()
        super().release()

    def _settle(self) -> None:
        text = "".join(self._words)
        self._words.clear()
        self.add(text.encode("utf-8", "replace"))
