"""`python -m sidelight_sidecar`."""

import sys

from sidelight_sidecar.cli import main

sys.exit(main())
