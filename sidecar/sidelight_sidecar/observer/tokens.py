"""Who may read `/summary` of a sidecar: whoever has a token whose SHA-256 the configuration names.

The configuration is a ConfigMap that many may read; a hash is of no use to them. While the
controller changes its key there are two.
"""

import hashlib
import hmac
from collections.abc import Callable

from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.observer.files import TokenFile


class SummaryTokens:
    """The tokens in force; with a token file, which older releases mounted, its token too."""

    def __init__(self, config: Callable[[], SidecarConfig], file: TokenFile) -> None:
        self._config = config
        self._file = file

    @property
    def expected(self) -> bool:
        """Whether there is a token at all."""
        return self._file.expected or bool(self._config().summary_tokens)

    def accepts(self, token: bytes) -> bool | None:
        """Whether it is one of them; None while there is none. How far it is from one takes no
        different time.
        """
        known = self._config().summary_tokens
        filed = self._file.accepts(token)
        if not known and filed is None:
            return None
        given = hashlib.sha256(token).hexdigest()
        found = [hmac.compare_digest(given, one) for one in known]
        return any(found) or bool(filed)
