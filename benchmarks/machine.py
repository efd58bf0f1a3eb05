"""What the numbers depend on: the machine and the versions. No name of a host."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.placement import PLACEMENT
from benchmarks.ways import ROOT

VERSION_COMMANDS = {
    "nginx": ["nginx", "-v"],
    "haproxy": ["haproxy", "-v"],
    "go": ["go", "version"],
}


def machine(ways: list[str]) -> dict[str, object]:
    """Return processor, kernel, who runs where, and the versions of what is measured."""
    found: dict[str, object] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "proxies_on": sorted(PLACEMENT.proxies),
        "clients_and_engine_on": sorted(PLACEMENT.others),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") // 1_000_000,
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
        "sidelight": version("sidelight"),
        "commit": _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        "python": platform.python_version(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
    }
    for way, command in VERSION_COMMANDS.items():
        if way in ways:
            number = re.search(r"\d+\.\d+(\.\d+)?", _said(command))
            found[way] = number[0] if number else ""
    if "aiohttp" in ways:
        found["aiohttp"], found["uvloop"] = version("aiohttp"), version("uvloop")
    return found


def _processor() -> str:
    named = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return named[1] if named else platform.machine()


def _said(command: list[str]) -> str:
    """Return what a program prints, wherever it prints its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return (done.stdout + done.stderr).strip()
