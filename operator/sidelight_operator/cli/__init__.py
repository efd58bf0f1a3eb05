"""The command `sidelight`: what a user asks without, or beside, a cluster."""

import argparse
import sys
from pathlib import Path

from sidelight_operator import __version__
from sidelight_operator.cli import attach, autopsy, check, inject


def main(arguments: list[str] | None = None) -> int:
    """Run the command; as `kubectl-sidelight` on PATH it is `kubectl sidelight`."""
    plugin = Path(sys.argv[0]).name == "kubectl-sidelight"
    parser = argparse.ArgumentParser(
        prog="kubectl sidelight" if plugin else "sidelight",
        description="See what Sidelight would do with a pod, whether it is installed as it should "
        "be, observe a pod that runs already, and learn why requests were slow.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    inject.add_parser(commands)
    attach.add_parser(commands)
    check.add_parser(commands)
    autopsy.add_parser(commands)
    commands.add_parser("version", help="print the version")
    options = parser.parse_args(arguments)
    runs = {"inject": inject.run, "attach": attach.run, "check": check.run, "autopsy": autopsy.run}
    if options.command in runs:
        return runs[options.command](options)
    print(__version__)
    return 0
