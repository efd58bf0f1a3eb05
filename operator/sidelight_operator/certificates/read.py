"""What a PEM text holds. Whatever is not understood is not there."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class Certificate:
    """One certificate."""

    parsed: x509.Certificate

    @cached_property
    def pem(self) -> str:
        """As text, in one form whatever it was read from."""
        return self.parsed.public_bytes(Encoding.PEM).decode()

    @cached_property
    def fingerprint(self) -> str:
        """Names this certificate and no other."""
        return self.parsed.fingerprint(hashes.SHA256()).hex()

    @property
    def begins(self) -> datetime:
        """Not valid before."""
        return self.parsed.not_valid_before_utc

    @property
    def ends(self) -> datetime:
        """Not valid after."""
        return self.parsed.not_valid_after_utc

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The names it is for."""
        try:
            found = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (x509.ExtensionNotFound, ValueError):
            return frozenset()
        return frozenset(found.value.get_values_for_type(x509.DNSName))

    def issued_by(self, authority: "Certificate") -> bool:
        """Whether `authority` signed it."""
        try:
            self.parsed.verify_directly_issued_by(authority.parsed)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


@dataclass(frozen=True)
class Pair:
    """A certificate and the key that fits it."""

    certificate: Certificate
    key: str
    """PEM."""


def read_bundle(text: str) -> tuple[Certificate, ...]:
    """The certificates in `text`, each once; those that cannot be read are left out."""
    found: dict[str, Certificate] = {}
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    for part in text.split(begin)[1:]:
        body = part.partition(end)[0]
        try:
            parsed = x509.load_pem_x509_certificate(f"{begin}{body}{end}\n".encode())
        except ValueError:
            continue
        certificate = Certificate(parsed)
        found.setdefault(certificate.fingerprint, certificate)
    return tuple(found.values())


def read_pair(certificate: str, key: str) -> Pair | None:
    """The pair; None when either is missing, cannot be read, or they do not fit."""
    found = read_bundle(certificate)
    if not found:
        return None
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return None
    own = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    theirs = (
        found[0].parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return Pair(found[0], key) if own == theirs else None
