"""Certificates for tests of TLS: what the controller makes, as files."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from sidelight_operator.certificates.make import make_authority, make_serving
from sidelight_operator.certificates.read import Pair

HOSTS = ("localhost",)


def new_authority() -> Pair:
    """An authority that begins now."""
    return make_authority("test", datetime.now(UTC))


def write_serving(folder: Path, authority: Pair) -> Pair:
    """A new certificate of `authority` in the folder, as the kubelet leaves it there."""
    pair = make_serving(authority, HOSTS, datetime.now(UTC))
    (folder / "tls.crt").write_text(pair.certificate.pem)
    (folder / "tls.key").write_text(pair.key)
    return pair


def trusting(*authorities: Pair) -> ssl.SSLContext:
    """A client's context that trusts them and nobody else."""
    bundle = "".join(authority.certificate.pem for authority in authorities)
    return ssl.create_default_context(cadata=bundle)
