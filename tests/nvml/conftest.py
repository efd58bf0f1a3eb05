"""A node with one card that tells everything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mock_nvml import Driver, driver


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Driver]:
    """Its driver; what it says can be changed."""
    with driver(tmp_path) as one:
        yield one
