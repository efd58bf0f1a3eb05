"""The load and the figures of `make test-gpu`, as far as they can be tried without a GPU: CUDA's
calls through ctypes as they are made on a device, against functions that look at what arrives.
"""

import ctypes
import re
import struct
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int, c_uint32, c_uint64
from typing import Any

import pytest
from benchmarks.gpu import cuda as cuda_module
from benchmarks.gpu import figures, kernels, load
from benchmarks.gpu.cuda import Cuda, CudaError, NoCudaError

from sidelight_sidecar.observer.accelerators.source import Device, Sample

PTX = {"fma": kernels.fma, "tensor": kernels.tensor, "copy": kernels.copy}
CTYPES = {"u64": c_uint64, "u32": c_uint32}
SPECIAL = {"%ctaid", "%ntid", "%tid", "%nctaid"}
MEMORY = 64 << 20


def parameters(ptx: str) -> list[str]:
    """The types of a kernel's arguments."""
    return re.findall(r"\.param \.(\w+) p_", ptx)


class FakeDriver:
    """CUDA's driver library: real C function pointers, device memory in this process."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.launches: list[tuple[str, tuple[int, ...], list[int]]] = []
        self.waits = 0
        self.memory: dict[int, Any] = {}
        self.ptx = ""
        for name, types in cuda_module._TYPES.items():
            own = getattr(self, f"_{name}", None)
            setattr(self, name, CFUNCTYPE(c_int, *types)(self._answer(name, own)))

    def _answer(self, name: str, own: Callable[..., Any] | None) -> Callable[..., int]:
        def answer(*arguments: Any) -> int:
            if code := self.codes.get(name, 0):
                return code
            if own is not None:
                own(*arguments)
            return 0

        return answer

    def _cuDriverGetVersion(self, out: Any) -> None:  # noqa: N802
        out[0] = 13_010

    def _cuDeviceGetCount(self, out: Any) -> None:  # noqa: N802
        out[0] = 1

    def _cuGetErrorString(self, code: int, out: Any) -> None:  # noqa: N802
        out[0] = b"the driver's word"

    def _cuDeviceGetUuid(self, out: Any, device: int) -> None:  # noqa: N802
        ctypes.memmove(out, bytes(range(16)), 16)

    def _cuDeviceGetAttribute(self, out: Any, number: int, device: int) -> None:  # noqa: N802
        out[0] = {cuda_module.MULTIPROCESSORS: 4, cuda_module.THREADS_OF_MULTIPROCESSOR: 2048}[
            number
        ]

    def _cuDeviceTotalMem_v2(self, out: Any, device: int) -> None:  # noqa: N802
        out[0] = MEMORY

    def _cuModuleLoadDataEx(  # noqa: N802
        self, out: Any, image: bytes, count: int, options: Any, values: Any
    ) -> None:
        assert [options[n] for n in range(count)] == [5, 6]
        ctypes.memset(values[0], 0, values[1])  # all of the log can be written
        self.ptx = image.decode()
        out[0] = 0xABC_0000_0001

    def _cuModuleGetFunction(self, out: Any, module: int, name: bytes) -> None:  # noqa: N802
        assert module == 0xABC_0000_0001  # not cut to 32 bits
        assert f".entry {name.decode()}(" in self.ptx
        out[0] = 0xDEF_0000_0002

    def _cuMemAlloc_v2(self, out: Any, size: int) -> None:  # noqa: N802
        buffer = ctypes.create_string_buffer(size)
        out[0] = ctypes.addressof(buffer)
        self.memory[out[0]] = buffer

    def _cuMemsetD32_v2(self, address: int, word: int, count: int) -> None:  # noqa: N802
        ctypes.memmove(address, struct.pack("<I", word) * count, 4 * count)

    def _cuMemcpyDtoH_v2(self, target: int, source: int, size: int) -> None:  # noqa: N802
        ctypes.memmove(target, source, size)

    def _cuCtxSynchronize(self) -> None:  # noqa: N802
        self.waits += 1

    def _cuLaunchKernel(self, function: int, *rest: Any) -> None:  # noqa: N802
        assert function == 0xDEF_0000_0002
        *shape, shared, stream, pointers, extra = rest
        assert (shared, stream, bool(extra)) == (0, None, False)
        types = [CTYPES[one] for one in parameters(self.ptx)]
        values = [kind.from_address(pointers[n]).value for n, kind in enumerate(types)]
        name = re.findall(r"\.entry (\w+)", self.ptx)[0]
        self.launches.append((name, tuple(shape), values))
        self._do(name, values)

    def _do(self, name: str, values: list[int]) -> None:
        """What the kernel would have done."""
        if name == "sidelight_copy":
            source, target, pieces = values
            ctypes.memmove(target, source, pieces * kernels.PIECE_BYTES)
        else:
            ctypes.memmove(values[0], struct.pack("<f", 1.5), 4)


@pytest.mark.parametrize("kind", PTX)
def test_every_register_of_a_kernel_is_declared(kind: str) -> None:
    """As the assembler demands; each once, and each is used."""
    text = PTX[kind]()
    declared: list[str] = []
    for names in re.findall(r"\.reg \.\w+ ([^;]+);", text):
        for name in names.split(", "):
            many = re.fullmatch(r"(%\w+)<(\d+)>", name)
            declared += [f"{many[1]}{n}" for n in range(int(many[2]))] if many else [name]
    code = re.sub(r"\.reg [^;]+;", "", text)
    used = set(re.findall(r"%\w+", code)) - SPECIAL
    assert sorted(declared) == sorted(used)


@pytest.mark.parametrize("kind", PTX)
def test_every_label_and_argument_of_a_kernel_is_there(kind: str) -> None:
    """What is jumped to and read exists."""
    text = PTX[kind]()
    assert set(re.findall(r"bra (\w+);", text)) <= set(re.findall(r"^(\w+):", text, re.MULTILINE))
    assert set(re.findall(r"\[(p_\w+)\]", text)) == set(re.findall(r"\.param \.\w+ (p_\w+)", text))


@pytest.mark.parametrize("kind", PTX)
def test_a_load_gives_a_kernel_what_it_takes(kind: str) -> None:
    """The arguments arrive by address, in the kernel's types, and the result is read back."""
    driver = FakeDriver()
    work = load.prepare(Cuda(driver), kind)
    before = len(driver.launches)
    work.launch()
    name, shape, values = driver.launches[before]
    assert name == f"sidelight_{kind}"
    assert shape == (4 * 2048 // 256, 1, 1, 256, 1, 1)
    assert values[0] in driver.memory
    if kind == "copy":
        assert values[1] in driver.memory
        assert values[2] * 16 == MEMORY // 8
        assert work.moved_bytes == 2 * MEMORY // 8
    else:
        assert values[1] >= 1000
        assert work.operations > 0


def test_a_kernel_that_computes_nothing_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures would be taken for a device's."""
    driver = FakeDriver()
    monkeypatch.setattr(driver, "_do", lambda name, values: None)
    for kind in PTX:
        with pytest.raises(CudaError, match=r"comput|copy"):
            load.prepare(Cuda(driver), kind)


def test_what_the_driver_says_of_an_error_is_told() -> None:
    """With the compiler's words where it has some."""
    driver = FakeDriver()
    cuda = Cuda(driver)
    driver.codes["cuModuleLoadDataEx"] = 218
    with pytest.raises(CudaError, match=r"the driver's word \(code 218\)"):
        load.prepare(cuda, "tensor")
    driver.codes = {"cuInit": 100}
    with pytest.raises(NoCudaError, match="code 100"):
        Cuda(driver)
    with pytest.raises(NoCudaError, match="1 devices"):
        Cuda(FakeDriver(), device=1)


def test_who_cudas_device_is() -> None:
    """Its UUID is spelled as NVML spells it."""
    cuda = Cuda(FakeDriver())
    assert cuda.uuid == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert cuda.version == "13.1"


def test_the_device_is_kept_at_it_in_batches() -> None:
    """So many launches between two waits that the clock is looked at rarely, and not too rarely."""
    driver = FakeDriver()
    cuda = Cuda(driver)
    now = [0.0]
    work = load.Work(lambda: now.__setitem__(0, now[0] + 0.001))
    launches = load.run(cuda, work, 10.0, lambda: now[0])
    assert launches == pytest.approx(10_000, rel=0.01)
    assert driver.waits == pytest.approx(10.0 / load.BATCH_SECONDS, rel=0.05)


def test_rounds_last_a_tenth_of_a_batch() -> None:
    """Whatever the device is capable of; never fewer than the first, nor more than fit."""
    assert load.rounds_for(0.001) == 5000
    assert load.rounds_for(10.0) == 1000
    assert load.rounds_for(0.0) < 2**32


DEVICE = Device("GPU-0", "0")


def made(watts: list[float], joules: list[float | None], step: float = 0.1) -> list[Sample]:
    """Samples of one device, a step apart."""
    return [
        Sample(DEVICE, round(n * step * 1e9), power_watts=w, energy_joules=j)
        for n, (w, j) in enumerate(zip(watts, joules, strict=True))
    ]


def test_energy_by_power_and_by_the_counter() -> None:
    """The same where the device tells the same."""
    samples = made([100.0] * 11, [1000.0 + 10.0 * n for n in range(11)])
    assert figures.integrated_joules(samples) == pytest.approx(100.0)
    assert figures.counted_joules(samples) == pytest.approx(100.0)
    assert figures.phase(samples)["integrated_against_counted"] == pytest.approx(0.0)


def test_energy_that_is_not_known_is_none() -> None:
    """No counter, one that began anew, or too few samples."""
    assert figures.counted_joules(made([1.0, 1.0], [None, None])) is None
    assert figures.counted_joules(made([1.0] * 3, [5.0, 1.0, 2.0])) is None
    assert figures.integrated_joules(made([1.0], [1.0])) is None
    assert figures.phase([])["counted_joules"] is None


def test_how_often_a_value_is_renewed() -> None:
    """A counter that moves every third sample is renewed every 300 ms."""
    samples = made([1.0] * 13, [float(n // 3) for n in range(13)])
    assert figures.renewed_every_ms(samples, lambda s: s.energy_joules) == 300.0
    assert figures.renewed_every_ms(samples, lambda s: s.power_watts) is None


def test_how_far_samples_are_apart() -> None:
    """Rounds that were left out are counted as such."""
    whole = made([1.0] * 11, [None] * 11)
    assert figures.spacing(whole, 0.1)["left_out"] == 0.0
    gap = [*whole[:4], *whole[6:]]
    assert figures.spacing(gap, 0.1)["left_out"] == 0.2
    assert figures.spacing(gap, 0.1)["worst_ms"] == pytest.approx(300.0)


def test_what_held_the_clocks_as_shares() -> None:
    """Several can at once."""
    assert figures.shares([["a", "b"], ["a"], []]) == {"a": 0.6667, "b": 0.3333}
    assert figures.shares([]) == {}
