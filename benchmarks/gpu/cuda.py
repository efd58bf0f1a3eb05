"""As much of CUDA's driver API as a load needs, by ctypes: no toolkit, no PyTorch.

Every function's types are written down: a pointer that ctypes takes for an int is cut in half.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

LIBRARY = "libcuda.so.1"
MULTIPROCESSORS = 16
THREADS_OF_MULTIPROCESSOR = 39
CAPABILITY_MAJOR = 75
CAPABILITY_MINOR = 76
_ERROR_LOG = 5
_ERROR_LOG_BYTES = 6
_LOG_BYTES = 8192
_UUID = c_char * 16
_TYPES: dict[str, Sequence[Any]] = {
    "cuInit": [c_uint],
    "cuDriverGetVersion": [POINTER(c_int)],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuDeviceGetCount": [POINTER(c_int)],
    "cuDeviceGet": [POINTER(c_int), c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDeviceGetUuid": [POINTER(_UUID), c_int],
    "cuDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cuDeviceTotalMem_v2": [POINTER(c_size_t), c_int],
    "cuDevicePrimaryCtxRetain": [POINTER(c_void_p), c_int],
    "cuCtxSetCurrent": [c_void_p],
    "cuCtxSynchronize": [],
    "cuModuleLoadDataEx": [POINTER(c_void_p), c_char_p, c_uint, POINTER(c_int), POINTER(c_void_p)],
    "cuModuleGetFunction": [POINTER(c_void_p), c_void_p, c_char_p],
    "cuMemAlloc_v2": [POINTER(c_uint64), c_size_t],
    "cuMemsetD32_v2": [c_uint64, c_uint, c_size_t],
    "cuMemcpyDtoH_v2": [c_void_p, c_uint64, c_size_t],
    "cuLaunchKernel": [c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
}


class CudaError(Exception):
    """A call failed; the text is CUDA's."""


class NoCudaError(CudaError):
    """There is no driver, or no device."""


class Cuda:
    """One device and its context.

    Args:
        library: the loaded driver library; None: load it.
        device: which, of those that CUDA shows.

    Raises:
        NoCudaError: there is no driver, or no device of that number.
    """

    def __init__(self, library: Any = None, device: int = 0) -> None:
        try:
            self._library = library or ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise NoCudaError(str(error)) from None
        for name, types in _TYPES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = types, c_int
        if code := self._library.cuInit(0):
            raise NoCudaError(self._said(code))
        self._device = c_int()
        count = c_int()
        self._call("cuDeviceGetCount", byref(count))
        if device >= count.value:
            raise NoCudaError(f"{count.value} devices")
        self._call("cuDeviceGet", byref(self._device), device)
        context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(context), self._device)
        self._call("cuCtxSetCurrent", context)

    @property
    def version(self) -> str:
        """The newest CUDA that the driver takes, such as `13.0`."""
        found = c_int()
        self._call("cuDriverGetVersion", byref(found))
        return f"{found.value // 1000}.{found.value % 1000 // 10}"

    @property
    def name(self) -> str:
        """Of the device."""
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode()

    @property
    def uuid(self) -> str:
        """As NVML spells it."""
        found = _UUID()
        self._call("cuDeviceGetUuid", byref(found), self._device)
        text = bytes(found).hex()
        return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    @property
    def memory_bytes(self) -> int:
        """Of the device, used or not."""
        found = c_size_t()
        self._call("cuDeviceTotalMem_v2", byref(found), self._device)
        return found.value

    def attribute(self, number: int) -> int:
        """One of the device's numbers."""
        found = c_int()
        self._call("cuDeviceGetAttribute", byref(found), number, self._device)
        return found.value

    def kernel(self, ptx: str, name: str) -> c_void_p:
        """Compile PTX, and find its function.

        Raises:
            CudaError: with what the compiler says.
        """
        module, function = c_void_p(), c_void_p()
        log = ctypes.create_string_buffer(_LOG_BYTES)
        options = (c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
        values = (c_void_p * 2)(ctypes.addressof(log), _LOG_BYTES)
        text = ptx.encode() + b"\0"
        try:
            self._call("cuModuleLoadDataEx", byref(module), text, 2, options, values)
        except CudaError as error:
            raise CudaError(f"{error}: {log.value.decode(errors='replace').strip()}") from None
        self._call("cuModuleGetFunction", byref(function), module, name.encode())
        return function

    def allocate(self, size: int, fill: int = 0) -> int:
        """Device memory, filled with a 32 bit word; it goes with the process."""
        found = c_uint64()
        self._call("cuMemAlloc_v2", byref(found), size)
        self._call("cuMemsetD32_v2", found, fill, size // 4)
        return found.value

    def read(self, address: int, size: int) -> bytes:
        """Device memory's content."""
        text = ctypes.create_string_buffer(size)
        self._call("cuMemcpyDtoH_v2", text, address, size)
        return text.raw

    def launch(self, kernel: c_void_p, blocks: int, threads: int, *arguments: Any) -> None:
        """Queue a kernel; its arguments are of ctypes, in the kernel's types."""
        places = [ctypes.addressof(argument) for argument in arguments]
        pointers = (c_void_p * len(places))(*places)
        self._call("cuLaunchKernel", kernel, blocks, 1, 1, threads, 1, 1, 0, None, pointers, None)

    def wait(self) -> None:
        """Until all that is queued is done."""
        self._call("cuCtxSynchronize")

    def _call(self, name: str, *arguments: Any) -> None:
        if code := getattr(self._library, name)(*arguments):
            raise CudaError(f"{name}: {self._said(code)}")

    def _said(self, code: int) -> str:
        text = c_char_p()
        self._library.cuGetErrorString(code, byref(text))
        return f"{(text.value or b'unknown error').decode()} (code {code})"
