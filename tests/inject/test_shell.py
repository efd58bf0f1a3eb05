"""Scripts are read as a shell reads them, and every literal letter keeps its place."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.inject.shell import Script, ShellError, ShellWord, inner, parse


def shown(commands: list[list[ShellWord]]) -> list[list[str]]:
    """Words as text, expansions as they are written."""
    return [["".join(p.text for p in word.pieces) for word in command] for command in commands]


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("a b\tc", [["a", "b", "c"]]),
        ("a; b && c || d | e & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a 'b c' \"d e\" f\\ g ''", [["a", "b c", "d e", "f g", ""]]),
        ("a \\\n  b # c\nd#e", [["a", "b"], ["d#e"]]),
        ("# only a comment, it's nothing", []),
        ("a > out 2>&1 < in b >> x", [["a", "b"]]),
        ("a &> out b", [["a", "b"]]),
        ("a 2 b2>x", [["a", "2", "b2"]]),
        ("a <<E x\nb 'c\nE\nd", [["a", "x"], ["d"]]),
        ("a <<-'E'\n\tb\n\tE\nd", [["a"], ["d"]]),
        ("a <<< b c", [["a", "c"]]),
        ("a $(b; c 'd)') e", [["a", "$(b; c 'd)')", "e"]]),
        ('a "$(b "c d")" e', [["a", '$(b "c d")', "e"]]),
        ("a `b; c` ${d:-e f} $g$h", [["a", "`b; c`", "${d:-e f}", "$g$h"]]),
        ("a $((1 + (2))) b", [["a", "$((1 + (2)))", "b"]]),
        ("if a; then b; fi", [["if", "a"], ["then", "b"], ["fi"]]),
        ("(a; b)", [["a"], ["b"]]),
        ("a $ b $'c\\'d'", [["a", "$", "b", "$'c\\'d'"]]),
        ("x=1 y='2 3' a", [["x=1", "y=2 3", "a"]]),
        ("a <(b c) d", [["a", "<(b c)", "d"]]),
    ],
)
def test_words_and_commands(script: str, commands: list[list[str]]) -> None:
    """Quotes, continuations, comments, redirections, here-documents, expansions."""
    assert shown(parse(Script.of(script))) == commands


@pytest.mark.parametrize("script", ["a 'b", 'a "b', "a $(b", "a ${b", "a `b", 'a "$(b"', "a $'b"])
def test_what_does_not_close_is_an_error(script: str) -> None:
    """Not a guess."""
    with pytest.raises(ShellError):
        parse(Script.of(script))


def test_the_script_of_eval_keeps_its_places() -> None:
    """Letters inside quotes of quotes are still where they stand."""
    text = 'eval "exec server --name "a b" \\\n  --port 8000 ${MORE}"'
    (command,) = parse(Script.of(text))
    (nested,) = parse(inner(command[1:]))
    assert shown([nested]) == [["exec", "server", "--name", "a", "b", "--port", "8000", "${MORE}"]]
    piece = nested[6].pieces[0]
    assert text[piece.start : piece.end] == "8000"


plain = st.text(st.sampled_from("ab1=-./: '\"\\$#\n;&|<>(){}"), min_size=1, max_size=8)


@given(st.lists(plain, min_size=1, max_size=6))
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    """Whatever is quoted right is one word, and equal."""
    (command,) = parse(Script.of(shlex.join(words)))
    assert [word.literal for word in command] == words


@given(st.text(st.sampled_from("ab8 '\"\\$#\n;&|<>(){}`=-"), max_size=40))
def test_a_literal_piece_stands_in_the_script_letter_by_letter(script: str) -> None:
    """For any text: an error, or places that are true."""
    try:
        commands = parse(Script.of(script))
    except ShellError:
        return
    for command in commands:
        for word in command:
            for piece in word.pieces:
                assert script[piece.start : piece.end] == piece.text
            assert word.end <= len(script)
