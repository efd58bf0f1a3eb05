"""The fuzzer's modules stand beside these tests; `hack/fuzz.py` finds them in the same way."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
