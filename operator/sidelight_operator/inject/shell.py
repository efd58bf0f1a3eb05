"""A shell script as simple commands and words, each with its place in the script.

Enough of POSIX sh and bash to find the one command that starts an engine and to change a number in
it, with everything around kept as it is. Pure syntax: nothing is expanded here.

Rules:
1. A piece that is literal stands in the script as it is written, letter by letter, so that its
   place may be overwritten.
2. What cannot be read for certain (quotes or brackets that do not close) is an error, not a guess.
3. Here-documents, comments and redirections are no words. What is inside `$(...)` and backticks
   belongs to another shell and is one opaque piece.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]")
_REDIRECT = re.compile(r"<<<|<<-|<<|<>|<&|>>|>\||>&|<|>")
_IN_DOUBLE_QUOTES = '$`"\\\n'


class ShellError(ValueError):
    """The script cannot be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word: literal text, or one expansion as it is written."""

    text: str
    start: int
    end: int
    expansion: bool = False
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class ShellWord:
    """A word; without pieces it is the empty word, as `''` is."""

    pieces: tuple[Piece, ...]
    end: int
    """Where it ends in the script, quotes included."""

    @property
    def literal(self) -> str | None:
        """Its text; None when something in it is expanded."""
        if any(piece.expansion for piece in self.pieces):
            return None
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Script:
    """Text, and where each of its letters stands in the text that it was taken from."""

    text: str
    places: Sequence[int]

    @classmethod
    def of(cls, text: str) -> "Script":
        """A script that was taken from nowhere else."""
        return cls(text, range(len(text)))

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of it stands; (-1, -1) when it is not in one piece there."""
        if start >= end:
            return -1, -1
        first, last = self.places[start], self.places[end - 1]
        return (first, last + 1) if last - first == end - start - 1 else (-1, -1)


def parse(script: Script) -> list[list[ShellWord]]:
    """The simple commands of a script, in order; reserved words count as words.

    Raises:
        ShellError: it cannot be read.
    """
    return _Reader(script).run()


def inner(words: Sequence[ShellWord]) -> Script:
    """The script that `eval` makes of its words, or `sh -c` of one: expansions stay as written."""
    text, places = "", []
    for number, word in enumerate(words):
        if number:
            text += " "
            places.append(-1)
        for piece in word.pieces:
            text += piece.text
            places.extend(range(piece.start, piece.start + len(piece.text)))
    return Script(text, places)


class _Reader:
    """Reads a script once, from left to right."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._text = script.text
        self._at = 0
        self._commands: list[list[ShellWord]] = []
        self._words: list[ShellWord] = []
        self._pieces: list[Piece] | None = None
        self._run_from = -1  # where the literal run at hand began
        self._run_quoted = False
        self._awaits = ""  # "target" or "delimiter": what the next word is
        self._strips_tabs = False
        self._heredocs: list[tuple[str, bool]] = []

    def run(self) -> list[list[ShellWord]]:
        while self._at < len(self._text):
            self._step(self._text[self._at])
        self._end_command()
        return self._commands

    def _step(self, char: str) -> None:
        if char in " \t":
            self._end_word()
            self._at += 1
        elif char == "\n":
            self._end_command()
            self._at += 1
            self._skip_heredocs()
        elif char == "#" and self._pieces is None:
            end = self._text.find("\n", self._at)
            self._at = end if end >= 0 else len(self._text)
        elif char == "\\":
            self._escape()
        elif char == "'":
            self._single_quotes()
        elif char == '"':
            self._double_quotes()
        elif char in "$`":
            self._expansion(quoted=False)
        elif char in "<>" or self._text.startswith("&>", self._at):
            self._redirect()
        elif char in ";&|()":
            self._end_command()
            self._at += 1
        else:
            self._literal(1, quoted=False)

    # --- words ---------------------------------------------------------------------------------

    def _begin_word(self) -> list[Piece]:
        if self._pieces is None:
            self._pieces = []
        return self._pieces

    def _literal(self, count: int, *, quoted: bool) -> None:
        """Take `count` letters as they are."""
        self._begin_word()
        if self._run_from >= 0 and self._run_quoted != quoted:
            self._end_run()
        if self._run_from < 0:
            self._run_from, self._run_quoted = self._at, quoted
        self._at += count

    def _end_run(self) -> None:
        if self._run_from >= 0:
            self._add(self._run_from, self._at, expansion=False, quoted=self._run_quoted)
            self._run_from = -1

    def _add(self, start: int, end: int, *, expansion: bool, quoted: bool) -> None:
        place = self._script.place(start, end)
        piece = Piece(self._text[start:end], *place, expansion=expansion, quoted=quoted)
        self._begin_word().append(piece)

    def _end_word(self) -> None:
        self._end_run()
        if self._pieces is None:
            return
        end = self._script.place(self._at - 1, self._at)[1]
        word, self._pieces = ShellWord(tuple(self._pieces), end), None
        if self._awaits == "delimiter":
            self._heredocs.append((word.literal or "", self._strips_tabs))
        elif not self._awaits:
            self._words.append(word)
        self._awaits = ""

    def _end_command(self) -> None:
        self._end_word()
        self._awaits = ""
        if self._words:
            self._commands.append(self._words)
            self._words = []

    # --- quoting -------------------------------------------------------------------------------

    def _escape(self) -> None:
        self._end_run()
        if self._text.startswith("\\\n", self._at):
            self._at += 2  # the line goes on; a word may, too
            return
        if self._at + 1 < len(self._text):
            self._at += 1
        self._literal(1, quoted=True)
        self._end_run()

    def _single_quotes(self) -> None:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise ShellError("a single quote does not close")
        self._end_run()
        self._begin_word()
        self._at += 1
        if end > self._at:
            self._literal(end - self._at, quoted=True)
            self._end_run()
        self._at = end + 1

    def _double_quotes(self) -> None:
        self._end_run()
        self._begin_word()
        self._at += 1
        while (char := self._text[self._at : self._at + 1]) != '"':
            if not char:
                raise ShellError("a double quote does not close")
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in _IN_DOUBLE_QUOTES:
                self._escape()
            elif char in "$`":
                self._expansion(quoted=True)
            else:
                self._literal(1, quoted=True)
        self._end_run()
        self._at += 1

    # --- expansions ----------------------------------------------------------------------------

    def _expansion(self, *, quoted: bool) -> None:
        self._end_run()
        end = self._expansion_end(quoted=quoted)
        if end == self._at + 1:  # a lone dollar
            self._literal(1, quoted=quoted)
            return
        self._add(self._at, end, expansion=True, quoted=quoted)
        self._at = end

    def _expansion_end(self, *, quoted: bool) -> int:
        text, at = self._text, self._at
        if text[at] == "`":
            return _after(re.compile(r"(?:[^`\\]|\\.)*`", re.DOTALL), text, at + 1, "a backtick")
        following = text[at + 1 : at + 2]
        if following == "'" and not quoted:
            return _after(re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL), text, at + 2, "a quote")
        if following in ("(", "{") and following:
            return _closing(text, at + 1)
        name = _NAME.match(text, at + 1)
        return name.end() if name else at + 1

    # --- redirections --------------------------------------------------------------------------

    def _redirect(self) -> None:
        descriptor = self._run_from >= 0 and not self._pieces
        if descriptor and self._text[self._run_from : self._at].isdigit():
            self._run_from, self._pieces = -1, None  # the 2 of `2>`
        self._end_word()
        self._at += self._text[self._at] == "&"
        found = _REDIRECT.match(self._text, self._at)
        assert found is not None
        if self._text.startswith("(", found.end()) and found[0] in "<>":
            end = _closing(self._text, found.end())
            self._add(self._at, end, expansion=True, quoted=True)
            self._at = end
            return
        self._at = found.end()
        heredoc = found[0] in ("<<", "<<-")
        self._awaits = "delimiter" if heredoc else "target"
        self._strips_tabs = found[0] == "<<-"

    def _skip_heredocs(self) -> None:
        for delimiter, strips in self._heredocs:
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                line = self._text[self._at : end if end >= 0 else len(self._text)]
                self._at = end + 1 if end >= 0 else len(self._text)
                if (line.lstrip("\t") if strips else line) == delimiter:
                    break
        self._heredocs = []


def _after(pattern: re.Pattern[str], text: str, at: int, what: str) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise ShellError(f"{what} does not close")
    return found.end()


def _closing(text: str, at: int) -> int:
    """After the bracket that closes the one at `at`, with quotes inside respected."""
    opening = text[at]
    closing = {"(": ")", "{": "}"}[opening]
    depth = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "'" and opening == "(":
            at = _after(re.compile(r"[^']*"), text, at + 1, "a quote")
        elif char == '"':
            at = _double_quotes_end(text, at)
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    raise ShellError(f"{opening} does not close")


def _double_quotes_end(text: str, at: int) -> int:
    at += 1
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            at += 1
        elif text.startswith(("$(", "${"), at):
            at = _closing(text, at + 1) - 1
        at += 1
    return at
