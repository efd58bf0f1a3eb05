"""The serving certificate, loaded while it is served."""

import ssl
from pathlib import Path

from tls_world import new_authority, write_serving

from sidelight_operator.webhook.certificate import Certificate


def test_a_certificate_that_does_not_fit_its_key_leaves_the_old_one(tmp_path: Path) -> None:
    """A Secret caught between two writes must not stop the server, and the next poll loads it."""
    authority = new_authority()
    old = write_serving(tmp_path, authority)
    certificate = Certificate(tmp_path)
    certificate.poll()
    assert certificate.loaded
    new = write_serving(tmp_path, authority)
    (tmp_path / "tls.crt").write_text(old.certificate.pem)
    certificate.poll()
    assert served(certificate) == old.certificate.pem
    assert certificate.ends == old.certificate.ends
    (tmp_path / "tls.crt").write_text(new.certificate.pem)
    certificate.poll()
    assert served(certificate) == new.certificate.pem
    assert certificate.ends == new.certificate.ends


def test_without_a_certificate_there_is_none_loaded(tmp_path: Path) -> None:
    """Readiness depends on it."""
    certificate = Certificate(tmp_path)
    certificate.poll()
    assert not certificate.loaded
    assert certificate.ends is None


def served(certificate: Certificate) -> str:
    """The certificate that a new handshake gets, as PEM."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    two = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, two, one, two):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = one.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)
