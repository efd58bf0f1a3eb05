"""`sidelight-operator webhook|controller`: one image, two roles."""

import sys

USAGE = "usage: sidelight-operator webhook|controller [OPTION ...]; each takes --help"


def main() -> int:
    """Run the role that the first argument names."""
    role, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if role == "webhook":
        from sidelight_operator.webhook.app import run as webhook  # noqa: PLC0415 - one role each

        return webhook(arguments)
    if role == "controller":
        from sidelight_operator.controller import run as controller  # noqa: PLC0415

        return controller(arguments)
    sys.stderr.write(f"{USAGE}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
