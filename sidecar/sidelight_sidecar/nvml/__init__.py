"""Reads NVIDIA's driver in a process of its own, and tells what it reads in lines.

The driver's library can hang, crash and grow; whoever loads it shares its fate. So the observer
does not: it starts `python -m sidelight_sidecar.nvml` and reads a pipe (observer/accelerators/).

Rules:
1. Standard library and `pynvml` only, and nothing else of Sidelight. What both ends must agree on
   is in `words`, which imports neither.
2. A call that the device does not support is asked once, left out from then on, and told once.
3. The library is initialised once in a process's life. After the driver went, or the library and
   the driver differ, the process says so and ends; the next one begins with a fresh library.
4. Every way to end is told in a line; nobody ever reads a traceback.
"""
