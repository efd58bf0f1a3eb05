"""Kinds of values that the programs' options take."""

import argparse


def flag(text: str) -> bool:
    """`true` or `false`, as the chart writes them.

    Raises:
        argparse.ArgumentTypeError: neither.
    """
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"
