"""A load in a process of its own: `python -m benchmarks.gpu.load KIND SECONDS`.

Prints `ready` when the device works, and at the end one line of JSON: what was done in how long.
"""

import argparse
import json
import struct
import sys
import time
from collections.abc import Callable
from ctypes import c_uint32, c_uint64
from dataclasses import asdict, dataclass

from benchmarks.gpu import kernels
from benchmarks.gpu.cuda import (
    MULTIPROCESSORS,
    THREADS_OF_MULTIPROCESSOR,
    Cuda,
    CudaError,
    NoCudaError,
)

KINDS = ("fma", "tensor", "copy")
BATCH_SECONDS = 0.05
"""Between two looks at the clock: the device is idle some microseconds at each."""
BUFFER_BYTES = 1 << 30
SHARE_OF_MEMORY = 8
_FIRST_ROUNDS = 1000


@dataclass(slots=True)
class Work:
    """What one launch does."""

    launch: Callable[[], None]
    operations: float = 0.0
    moved_bytes: float = 0.0


@dataclass(slots=True)
class Done:
    """What was done."""

    kind: str
    uuid: str
    seconds: float
    launches: int
    operations_per_second: float
    bytes_per_second: float


def prepare(cuda: Cuda, kind: str, clock: Callable[[], float] = time.monotonic) -> Work:
    """A launch of about a tenth of a batch, compiled and tried.

    Raises:
        CudaError: the device cannot, or gives a wrong result.
    """
    blocks = cuda.attribute(MULTIPROCESSORS) * (
        cuda.attribute(THREADS_OF_MULTIPROCESSOR) // kernels.THREADS
    )
    if kind == "copy":
        return _copy(cuda, blocks)
    ptx = kernels.fma() if kind == "fma" else kernels.tensor()
    each = kernels.FMA_OPERATIONS if kind == "fma" else kernels.TENSOR_OPERATIONS
    function = cuda.kernel(ptx, f"sidelight_{kind}")
    out = c_uint64(cuda.allocate(4 * blocks * kernels.THREADS))

    def launch(rounds: int) -> None:
        cuda.launch(function, blocks, kernels.THREADS, out, c_uint32(rounds))

    launch(_FIRST_ROUNDS)
    cuda.wait()  # the first one compiles and wakes the device
    began = clock()
    launch(_FIRST_ROUNDS)
    cuda.wait()
    rounds = rounds_for(clock() - began)
    (first,) = struct.unpack("<f", cuda.read(out.value, 4))
    if not first > 0:
        raise CudaError(f"sidelight_{kind} computed {first}")
    return Work(lambda: launch(rounds), operations=each * rounds * blocks * kernels.THREADS)


def rounds_for(seconds: float) -> int:
    """How many rounds last a tenth of a batch, where `_FIRST_ROUNDS` last so long."""
    wanted = _FIRST_ROUNDS * BATCH_SECONDS / 10 / max(seconds, 1e-6)
    return max(_FIRST_ROUNDS, min(round(wanted), 2**31))


def _copy(cuda: Cuda, blocks: int) -> Work:
    size = min(BUFFER_BYTES, cuda.memory_bytes // SHARE_OF_MEMORY) // (1 << 20) * (1 << 20)
    function = cuda.kernel(kernels.copy(), "sidelight_copy")
    source, target = c_uint64(cuda.allocate(size, 0x5EED5EED)), c_uint64(cuda.allocate(size))
    count = c_uint64(size // kernels.PIECE_BYTES)

    def launch() -> None:
        cuda.launch(function, blocks, kernels.THREADS, source, target, count)

    launch()
    cuda.wait()
    if cuda.read(target.value + size - 4, 4) != struct.pack("<I", 0x5EED5EED):
        raise CudaError("sidelight_copy did not copy")
    return Work(launch, moved_bytes=2.0 * size)


def run(cuda: Cuda, work: Work, seconds: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Keep the device at it for so long; gives the number of launches."""
    launches, batch, began = 0, 1, clock()
    while (since := clock()) - began < seconds:
        for _ in range(batch):
            work.launch()
        cuda.wait()
        launches += batch
        lasted = max(clock() - since, 1e-6)
        batch = max(1, min(round(batch * BATCH_SECONDS / lasted), 10_000))
    return launches


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.load", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    try:
        cuda = Cuda()
        work = prepare(cuda, options.kind)
    except NoCudaError as error:
        print(f"load: no CUDA device: {error}", file=sys.stderr)
        return 2
    except CudaError as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    print("ready", flush=True)
    began = time.monotonic()
    launches = run(cuda, work, options.seconds)
    lasted = time.monotonic() - began
    operations, moved = work.operations * launches, work.moved_bytes * launches
    done = Done(
        options.kind, cuda.uuid, lasted, launches, operations / lasted, moved / lasted
    )  # fmt: skip
    print(json.dumps(asdict(done)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
