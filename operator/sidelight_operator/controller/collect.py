"""Asks sidecars for their summaries: many at once, none for long, none for much memory."""

import asyncio

import aiohttp

from sidelight_contract import names
from sidelight_contract.gpu import EXPORTER_HEADER
from sidelight_contract.names import Reason
from sidelight_contract.summary import MAX_SUMMARY_BYTES, SummaryError, decode_counted
from sidelight_operator.controller.evaluate import Answer
from sidelight_operator.controller.pods import Refusal

TIMEOUT_SECONDS = 3.0
"""For one sidecar, connecting included. A summary takes milliseconds; a node that is gone takes
for ever, and the round must not wait for it."""
_CHUNK = 64 * 1024
_DECIDED = frozenset({200, 400, 404, 405})
"""Answers of a tap that took a configuration, found it wrong, or is of a release that takes none;
with others it may be another time."""


class Collector:
    """One pooled HTTP client for all sidecars."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        at_once: int,
        port: int = names.ADMIN_PORT,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._session = session
        self._slots = asyncio.Semaphore(at_once)
        self._port = port
        self._timeout_seconds = timeout_seconds

    async def collect(
        self,
        address: str,
        token: str | None,
        port: int = names.ADMIN_PORT,
        *,
        strata: bool = False,
        slo_history: bool = False,
        accelerators: str = "",
    ) -> Answer:
        """The summary of the sidecar at `address`, or why there is none. Raises nothing.

        Args:
            address: the pod's.
            token: what the sidecar asks for.
            port: where its injection put it; the usual one is the collector's own.
            strata: whether it is to tell its strata, too.
            slo_history: whether it is to tell its rings of judged requests, too.
            accelerators: what it is told of exporters on its node; empty: nothing.
        """
        port = self._port if port == names.ADMIN_PORT else port
        if token is None:
            return Refusal(
                Reason.SIDECAR_REFUSED_TOKEN, "there is no token to ask it with; see Ready"
            )
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._slots, asyncio.timeout(self._timeout_seconds):
                asked = {"strata": strata, "slo_history": slo_history}
                query = "&".join(f"{name}=1" for name, wanted in asked.items() if wanted)
                url = f"http://{host}:{port}/summary{'?' if query else ''}{query}"
                return await self._ask(url, token, accelerators)
        except TimeoutError:
            why = f"no answer within {self._timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
        return Refusal(
            Reason.SIDECAR_UNREACHABLE,
            f"the sidecar does not answer on {address}:{port} ({why[:200]}); a NetworkPolicy "
            "must let the controller in",
        )

    async def end(self, where: tuple[str, int], token: str, why: str) -> bool:
        """Tell the tap at `where` to end; whether somebody there has heard. Raises nothing."""
        # A refusal counts: then the address is another pod's by now.
        return await self._send(("POST", "/end"), where, token, why) is not None

    async def tell_tokens(self, where: tuple[str, int], token: str, accepted: str) -> bool:
        """Tell the tap at `where` the hashes of the tokens that it is to accept; whether it does.
        Raises nothing.
        """
        return await self._send(("PUT", "/tokens"), where, token, accepted) == 200

    async def tell_config(self, where: tuple[str, int], token: str, config: bytes) -> bool | None:
        """Tell the tap at `where` its configuration; whether it took it. None: nobody that can
        take one has heard. Raises nothing.
        """
        status = await self._send(("PUT", "/config"), where, token, config)
        return status == 200 if status in _DECIDED else None

    async def _send(
        self, what: tuple[str, str], where: tuple[str, int], token: str, body: str | bytes
    ) -> int | None:
        """The status of the answer; None when there is none."""
        (method, path), (address, port) = what, where
        host = f"[{address}]" if ":" in address else address
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                self._slots,
                asyncio.timeout(self._timeout_seconds),
                self._session.request(
                    method, f"http://{host}:{port}{path}", headers=headers, data=body
                ) as response,
            ):
                return response.status
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None

    async def _ask(self, url: str, token: str, accelerators: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        if accelerators:
            headers[EXPORTER_HEADER] = accelerators
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status in (401, 403, 503):
                return Refusal(
                    Reason.SIDECAR_REFUSED_TOKEN,
                    f"the sidecar answered {response.status}: it does not know the token yet; the "
                    "kubelet takes up to two minutes to bring a changed ConfigMap",
                )
            if response.status != 200:
                return _not_understood(f"it answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > MAX_SUMMARY_BYTES:
                    return _not_understood(f"it is larger than {MAX_SUMMARY_BYTES} bytes")
        try:
            return decode_counted(bytes(body))
        except SummaryError as error:
            return _not_understood(str(error))


def _not_understood(why: str) -> Refusal:
    return Refusal(
        Reason.SUMMARY_NOT_UNDERSTOOD, f"the sidecar's summary cannot be used: {why[:200]}"
    )
