"""The serving certificate: loaded into one TLS context, and again when its files change.

The listener is never restarted for it: a context takes a new certificate while it serves, and new
handshakes get it. A pair that does not fit (a Secret caught between two writes) leaves the old one.
"""

import logging
import ssl
from pathlib import Path

logger = logging.getLogger("sidelight.webhook")


class Certificate:
    """`tls.crt` and `tls.key` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[bytes, bytes] | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is a certificate to serve with."""
        return self._loaded is not None

    def poll(self) -> None:
        """Load the files if they changed."""
        try:
            content = (self.certificate.read_bytes(), self.key.read_bytes())
            if content == self._loaded:
                return
            self.context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            logger.warning("certificate not loaded", extra={"error": str(error)})
            return
        self._loaded = content
        logger.info("certificate loaded")
