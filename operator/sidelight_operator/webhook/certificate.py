"""The serving certificate: loaded into one TLS context, and again when its files change.

The listener is never restarted for it: a context takes a new certificate while it serves, and new
handshakes get it. A pair that does not fit (a Secret caught between two writes) leaves the old one.
"""

import logging
import ssl
from datetime import datetime
from pathlib import Path

from sidelight_operator.certificates.read import read_pair

logger = logging.getLogger("sidelight.webhook")


class Certificate:
    """`tls.crt` and `tls.key` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ends: datetime | None = None
        """When the loaded certificate ends; None while there is none."""
        self._loaded: tuple[str, str] | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is a certificate to serve with."""
        return self._loaded is not None

    def poll(self) -> None:
        """Load the files if they changed."""
        # The kubelet puts a new folder in the old one's place: both files out of the same one.
        folder = (self._folder / "tls.crt").resolve().parent
        certificate, key = folder / "tls.crt", folder / "tls.key"
        try:
            content = (certificate.read_text(), key.read_text())
            if content == self._loaded:
                return
            pair = read_pair(*content)
            if pair is not None:
                self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            logger.warning("certificate not loaded", extra={"error": str(error)})
            return
        if pair is None:
            logger.warning("certificate not loaded", extra={"error": "the key does not fit"})
            return
        self._loaded = content
        self.ends = pair.certificate.ends
        logger.info("certificate loaded", extra={"ends": self.ends.isoformat()})
