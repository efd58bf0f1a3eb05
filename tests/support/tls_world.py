"""Certificates for tests of TLS: what the controller makes, as files."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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


def client_files(authority: Pair, name: str) -> tuple[str, str]:
    """A client's certificate of `authority` and its key, as PEM."""
    signer = load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.parsed.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()
