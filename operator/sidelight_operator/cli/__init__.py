"""The command `sidelight`: what a user asks without, or beside, a cluster."""

import argparse

from sidelight_operator import __version__
from sidelight_operator.cli import inject


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="sidelight", description="See what Sidelight would do with a pod."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    inject.add_parser(commands)
    commands.add_parser("version", help="print the version")
    options = parser.parse_args(arguments)
    if options.command == "inject":
        return inject.run(options)
    print(__version__)
    return 0
