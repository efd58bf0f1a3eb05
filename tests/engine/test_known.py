"""An engine whose kind is known is asked where its metrics and its tokenizer are."""

import pytest

from sidelight_contract.engines import PROFILES
from sidelight_sidecar.observer.engine.client import Answer
from sidelight_sidecar.observer.engine.known import Known, KnownEngine, known_of


class Heard:
    """Answers everything, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get(self, address: str, path: str) -> Answer:
        """Yes."""
        self.asked.append(f"{address}{path}")
        return Answer(200)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """Yes."""
        self.asked.append(f"{address}{path}")
        return Answer(200)


@pytest.mark.parametrize(
    ("engine", "metrics", "asked"),
    [
        ("VLLM", "", ["[::1]:8000/metrics", "[::1]:8000/slots", "[::1]:8000/tokenize"]),
        ("Triton", "", ["[::1]:8002/metrics", "[::1]:8000/slots"]),
        ("NIM", "", ["[::1]:8000/v1/metrics", "[::1]:8000/slots"]),
        ("Ollama", "", ["[::1]:8000/slots"]),
        ("Generic", ":9090/stats", ["[::1]:9090/stats", "[::1]:8000/slots", "[::1]:8000/tokenize"]),
        ("Generic", ":/stats", ["[::1]:8000/stats", "[::1]:8000/slots", "[::1]:8000/tokenize"]),
        ("Auto", "", ["[::1]:8000/metrics", "[::1]:8000/slots", "[::1]:8000/tokenize"]),
    ],
)
async def test_it_is_asked_where_the_table_says(
    engine: str, metrics: str, asked: list[str]
) -> None:
    """Metrics on their own port and path; what it does not have is not asked for."""
    heard = Heard()
    client = KnownEngine(heard, known_of(engine, metrics))
    await client.get("[::1]:8000", "/metrics")
    await client.get("[::1]:8000", "/slots")
    await client.post("[::1]:8000", "/tokenize", b"{}")
    assert heard.asked == asked


def test_every_type_of_the_table_is_known() -> None:
    """The names are the contract's own, so that the operator's word is understood."""
    assert all(
        known_of(profile.type.value) != Known() or profile.tokenizer_path for profile in PROFILES
    )
