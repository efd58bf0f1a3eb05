"""The simulation is part of the benchmarks, no installed package: it is found in the work tree."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
