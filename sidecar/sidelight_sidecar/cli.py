"""The command `sidelight-sidecar`."""

import argparse
import os
import sys
from pathlib import Path

from sidelight_sidecar import __version__
from sidelight_sidecar.addresses import usable
from sidelight_sidecar.relay.config import ORIGINAL_DESTINATION, parse_address

_EXAMPLE = """example:
  sidelight-sidecar run --listen 127.0.0.1:9000 --engine 127.0.0.1:8000 --admin 127.0.0.1:15020
  curl 127.0.0.1:15020/metrics"""


_OBSERVER_FLAGS = (
    "--config", "--token-file", "--engine-type", "--token-sha256", "--lease-seconds",
    "--records", "--spool", "--secrets", "--accelerators",
)  # fmt: skip


def _address(text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _engine(text: str) -> str:
    return text if text == ORIGINAL_DESTINATION else _address(text)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def _seconds(text: str) -> str:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return text


def _accelerators(text: str) -> str:
    from sidelight_sidecar.observer.accelerators.telling import parse  # noqa: PLC0415

    _, refused = parse(text)
    if refused:
        raise argparse.ArgumentTypeError(
            f"{text!r}: dcgm=ADDRESS:PORT or amd=ADDRESS:PORT, an address being a number"
        )
    return text


def _sha256(text: str) -> str:
    for part in text.split(","):
        if len(part) != 64 or not all(digit in "0123456789abcdef" for digit in part):
            raise argparse.ArgumentTypeError(f"{part!r} is no SHA-256: 64 hexadecimal digits")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidelight-sidecar",
        description="Stand in front of an LLM server, change nothing, and say what passed.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="relay and observe")
    record = commands.add_parser("record", help="relay and keep the frames in a file")
    for command in (run, record):
        command.add_argument(
            "--listen", action="append", type=_address, required=True, metavar="HOST:PORT",
            help="accept connections here; may be given again",
        )  # fmt: skip
        command.add_argument(
            "--engine", type=_engine, required=True, metavar="HOST:PORT",
            help="where the server is; original-dst: where a redirected connection was going",
        )  # fmt: skip
    run.add_argument(
        "--admin", type=_address, required=True, metavar="HOST:PORT", help="serve /metrics here"
    )
    _add_observer_options(run)
    record.add_argument("file", metavar="FILE", help="frame file to write")
    _add_tap(commands.add_parser("tap", help="observe from packets, without being in the path"))
    _add_replay(commands.add_parser("replay", help="what was in a frame file"))
    redirect = commands.add_parser("redirect", help="write the pod's redirect (an init container)")
    redirect.add_argument(
        "--port", action="append", type=_port, required=True, metavar="N",
        help="the engine's port; may be given again",
    )  # fmt: skip
    redirect.add_argument("--to", type=_port, required=True, help="the relay's port")
    redirect.add_argument(
        "--liveness", type=_port, required=True, metavar="N",
        help="the first port's way around the relay; the next ports' are the ports after it",
    )  # fmt: skip
    commands.add_parser("version", help="print the version")
    return parser


def _add_observer_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="settings, read again on change")
    command.add_argument("--token-file", metavar="FILE", help="token that /summary asks for")
    command.add_argument(
        "--engine-type", metavar="TYPE",
        help="VLLM, SGLang, TGI, ... as in spec.engine.type; tells apart APIs that share a path",
    )  # fmt: skip
    command.add_argument(
        "--accelerators", type=_accelerators, metavar="KIND=ADDRESS:PORT",
        help="where the machine's exporter of GPU figures is, kind dcgm or amd; also in "
        "SIDELIGHT_ACCELERATORS; in Kubernetes the operator tells it",
    )  # fmt: skip
    for flag, what in (
        ("--records", "where file sinks write"),
        ("--spool", "where records wait on disk"),
        ("--secrets", "a folder for each sink that has a Secret"),
    ):
        command.add_argument(flag, metavar="DIRECTORY", help=what)


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("file", type=Path, metavar="FILE")
    form = replay.add_mutually_exclusive_group()
    form.add_argument(
        "--format", choices=("exchanges", "metrics", "summary"), default="exchanges",
        help="default: exchanges, a JSON line each",
    )  # fmt: skip
    form.add_argument(
        "--capture", action="store_true",
        help="instead: the records that would be shipped, a JSON line each",
    )  # fmt: skip
    replay.add_argument(
        "--config", type=Path, metavar="FILE",
        help="with --capture: the sidecar's settings; default: all of it, payloads Redacted",
    )  # fmt: skip


def _add_tap(tap: argparse.ArgumentParser) -> None:
    tap.description = "Read the packets of a served port (needs NET_RAW) and observe what passes."
    tap.add_argument(
        "--interface", required=True, metavar="NAME",
        help="such as eth0; auto: the one with the address in SIDELIGHT_POD_IP, or the only one",
    )  # fmt: skip
    tap.add_argument("--port", type=_port, required=True, help="the port that is served")
    to = tap.add_mutually_exclusive_group(required=True)
    to.add_argument("--admin", type=_address, metavar="HOST:PORT", help="serve /metrics here")
    to.add_argument("--record", metavar="FILE", help="write the frames to this file instead")
    _add_observer_options(tap)
    tap.add_argument(
        "--token-sha256", type=_sha256, metavar="HEX",
        help="instead of --token-file: SHA-256 of the token that /summary asks for; may be "
        "several, with commas between",
    )  # fmt: skip
    tap.add_argument(
        "--lease-seconds", type=_seconds, metavar="N",
        help="with --token-sha256: end when told to (POST /end), or when nobody asked for /summary "
        "for so long",
    )  # fmt: skip


def relay_command(options: argparse.Namespace) -> list[str]:
    """The relay's own command line: it runs without this parser in memory."""
    command = [sys.executable, "-m", "sidelight_sidecar.relay", "--engine", options.engine]
    for address in usable(options.listen):
        command += ["--listen", address]
    if options.command == "record":
        return [*command, "--record", options.file]
    return [*command, "--", *_observer_command(options)]


def tap_command(options: argparse.Namespace) -> list[str]:
    """The tap's own command line."""
    command = [sys.executable, "-m", "sidelight_sidecar.tap"]
    command += ["--interface", options.interface, "--port", str(options.port)]
    if options.record:
        return [*command, "--record", options.record]
    return [*command, "--", *_observer_command(options)]


def _observer_command(options: argparse.Namespace) -> list[str]:
    observer = [sys.executable, "-m", "sidelight_sidecar.observer", "--admin", options.admin]
    for flag in _OBSERVER_FLAGS:
        value = getattr(options, flag[2:].replace("-", "_"), None)
        if value:
            observer += [flag, value]
    return observer


def _complain(file: Path, error: object) -> int:
    print(f"sidelight-sidecar: {file}: {error}", file=sys.stderr)
    return 1


def _replay_capture(options: argparse.Namespace) -> int:
    from sidelight_contract.config import ConfigError, decode_config  # noqa: PLC0415
    from sidelight_sidecar.replay_capture import EVERYTHING, CaptureReplay  # noqa: PLC0415

    config = EVERYTHING
    if options.config is not None:
        try:
            config = decode_config(options.config.read_bytes())
        except OSError as error:
            return _complain(options.config, error.strerror)
        except ConfigError as error:
            return _complain(options.config, error)
    records = CaptureReplay(options.file, config)
    failed = 0
    try:
        for part in records:
            if isinstance(part, bytes):
                sys.stdout.buffer.write(part + b"\n")
            else:
                failed = _complain(options.file, part)
    except OSError as error:
        return _complain(options.file, error.strerror)
    sys.stdout.buffer.flush()
    state = records.state
    if state.refused:
        failed = _complain(options.config, f"no payload is recorded: {state.refused}")
    dropped = sum(state.dropped.values())
    print(
        f"{state.records} records; by capture.keep {records.passed} were none, "
        f"{dropped} had no room in the spool",
        file=sys.stderr,
    )
    return failed


def _replay(options: argparse.Namespace) -> int:
    from sidelight_sidecar.observer.replay import replay  # noqa: PLC0415 - not for the relay

    try:
        for part in replay(options.file, options.format):
            if isinstance(part, str):
                print(part)
            else:
                return _complain(options.file, part)
    except OSError as error:
        return _complain(options.file, error.strerror)
    return 0


def _redirect(options: argparse.Namespace) -> int:
    from sidelight_sidecar.redirect import RedirectError, apply, rules  # noqa: PLC0415

    try:
        apply(rules(options.port, options.to, options.liveness))
    except RedirectError as error:
        print(f"sidelight-sidecar: {error}", file=sys.stderr)
        return 1
    for place, port in enumerate(options.port):
        print(f"port {port} goes to {options.to}, {options.liveness + place} to {port}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; `run` and `record` become the relay, `tap` the tap."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "replay" and options.config is not None and not options.capture:
        parser.error("--config is for replay --capture")
    if options.command in ("run", "record", "tap"):
        command = tap_command(options) if options.command == "tap" else relay_command(options)
        os.execv(command[0], command)  # noqa: S606 - this very interpreter
    if options.command == "replay":
        return _replay_capture(options) if options.capture else _replay(options)
    if options.command == "redirect":
        return _redirect(options)
    print(__version__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
