"""A node with one card that tells everything; and the benchmark, which is no installed package, is
found in the work tree.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mock_nvml import Driver, driver, library

sys.path.insert(0, str(Path(__file__).parents[2]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the library where it is not there yet: no test's time is long enough for a compiler."""
    here = Path(__file__).parent
    if not session.config.option.collectonly and any(here in i.path.parents for i in session.items):
        library()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Driver]:
    """Its driver; what it says can be changed."""
    with driver(tmp_path) as one:
        yield one
