"""The controller role: sees every selected pod, asks every sidecar, writes every status."""


def run(argv: list[str]) -> int:
    """Run the controller until it is told to stop; the exit status."""
    # Here, so that the pure modules of this package can be imported without kopf and aiohttp.
    from sidelight_operator.controller.app import run as run_app  # noqa: PLC0415

    return run_app(argv)
