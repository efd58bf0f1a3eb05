"""Whatever the driver does, the program says it in a line and ends; nobody reads a traceback.

`Driver.lines` holds every test to the second half: nothing is written to standard error.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mock_nvml import DEADLINE_SECONDS, Driver, library, uuid


def last(node: Driver, *arguments: str) -> dict[str, Any]:
    """The last line."""
    *_, line = node.lines(*arguments)
    return line


def test_a_container_without_the_library(node: Driver) -> None:
    """The commonest case of all: nobody gave the sidecar a device."""
    node.environment["LD_LIBRARY_PATH"] = ""
    said = last(node)
    assert (said["kind"], said["outcome"], said["code"]) == ("end", "library_not_found", 12)
    assert "libnvidia-ml.so.1" in said["text"]


def test_a_library_where_the_loader_does_not_look(node: Driver) -> None:
    """Some platforms mount it beside the loader's path: the bindings, which ask by name, get it."""
    program = (
        "from sidelight_sidecar.nvml import library; import pynvml\n"
        f"library.ELSEWHERE = ('/nowhere', {str(library())!r})\n"
        "library.open_library(); print(pynvml.nvmlDeviceGetCount())"
    )
    environment = {"MOCK_NVML_STATE": str(node.path), "LD_LIBRARY_PATH": ""}
    ran = subprocess.run(
        [sys.executable, "-P", "-s", "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_a_library_that_cannot_be_loaded(node: Driver, tmp_path: Path) -> None:
    """What the loader says of it is told."""
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library at all, but long enough for a header")
    node.environment["LD_LIBRARY_PATH"] = str(tmp_path)
    said = last(node)
    assert said["outcome"] == "library_not_found"
    assert "too short" in said["text"] or "invalid ELF header" in said["text"]


def test_an_image_without_the_bindings(node: Driver, tmp_path: Path) -> None:
    """They may be left out of an image of one's own."""
    text = "raise ModuleNotFoundError(\"No module named 'pynvml'\", name='pynvml')"
    (tmp_path / "pynvml.py").write_text(text, encoding="utf-8")
    node.environment["PYTHONPATH"] = str(tmp_path)
    said = last(node)
    assert (said["outcome"], said["text"]) == ("bindings_not_found", "No module named 'pynvml'")


@pytest.mark.parametrize(
    ("code", "outcome", "text"),
    [
        (4, "no_permission", "Insufficient Permissions"),
        (9, "driver_not_loaded", "Driver Not Loaded"),
        (12, "library_not_found", ""),
        (18, "version_mismatch", "RM has detected an NVML/RM version mismatch."),
        (20, "failed", "Insufficient Memory"),
        (999, "failed", "Unknown Error"),
        (4711, "failed", "A code that the bindings do not know"),
    ],
)
def test_a_driver_that_refuses(node: Driver, code: int, outcome: str, text: str) -> None:
    """Each of its codes has a word, and those that have none are told in the driver's."""
    node.say(fail={"nvmlInit_v2": code})
    lines = list(node.lines())
    assert lines == [{"kind": "end", "outcome": outcome, "code": code, "text": text}]


def test_a_driver_that_shows_no_device(node: Driver) -> None:
    """A claim that was not shared, say."""
    node.say(count=0)
    assert last(node)["outcome"] == "no_devices"


def test_devices_that_are_other_containers_are_not_seen(node: Driver) -> None:
    """What the driver does not permit is not the pod's."""
    node.say(count=3, cards={"1": {"fail": {"nvmlDeviceGetHandleByIndex_v2": 4}}})
    hello = next(node.lines())
    assert [one["uuid"] for one in hello["devices"]] == [uuid(0), uuid(2)]


def test_all_of_a_nodes_devices_and_nobody_says_which(node: Driver) -> None:
    """None is read: figures of other pods' devices would be taken for this one's."""
    node.say(count=8)
    assert last(node, "--visible-all")["outcome"] == "own_devices_unknown"


def test_devices_of_the_pod_that_are_not_there(node: Driver) -> None:
    """The line says how many others there are."""
    node.say(count=8)
    said = last(node, "--visible-all", "--uuid", "GPU-gone")
    assert said["outcome"] == "own_devices_missing"
    assert "8 devices are visible" in said["text"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(1, "driver_reset"), (9, "driver_not_loaded"), (18, "version_mismatch"), (15, "devices_lost")],
)
def test_a_driver_that_goes_while_it_is_read(node: Driver, code: int, outcome: str) -> None:
    """A reset, an update underneath, the last device off the bus."""
    lines = node.lines()
    assert next(lines)["kind"] == "hello"
    assert next(lines)["kind"] == "samples"
    node.say(fail={"*": code})
    *_, said = lines
    assert (said["kind"], said["outcome"], said["code"]) == ("end", outcome, code)


@pytest.mark.parametrize("code", [15, 16, 28])
def test_one_device_that_is_lost(node: Driver, code: int) -> None:
    """It is told once and left alone; the other one is read on."""
    node.say(count=2)
    lines = node.lines()
    next(line for line in lines if line.get("fast"))
    node.say(cards={"1": {"fail": {"*": code}}})
    lost = next(line for line in lines if line["kind"] == "lost")
    after = [line for _, line in zip(range(12), lines, strict=False)]
    lines.close()
    assert (lost["device"], lost["code"]) == (1, code)
    assert not [line for line in after if line["kind"] == "lost"]
    rows = [row for line in after for row in line.get("fast", ())]
    assert {place for place, _, _ in rows} == {0}


def test_a_device_that_was_lost_before(node: Driver) -> None:
    """It has no handle any more: its number is all that is known."""
    node.say(count=2, cards={"0": {"fail": {"*": 15}}})
    lines = node.lines()
    hello, gone = next(lines), next(line for line in lines if line["kind"] == "gone")
    lines.close()
    assert [one["uuid"] for one in hello["devices"]] == [uuid(1)]
    assert (gone["index"], gone["text"]) == ("0", "GPU is lost")


def test_only_lost_devices(node: Driver) -> None:
    """There is nothing to read."""
    node.say(fail={"nvmlDeviceGetHandleByIndex_v2": 15})
    assert last(node)["outcome"] == "devices_lost"


def test_a_device_that_is_lost_while_it_is_looked_at(node: Driver) -> None:
    """Between its name and its first query."""
    node.say(count=2, cards={"1": {"fail": {"nvmlDeviceGetFieldValues": 15}}})
    lines = node.lines()
    lost = next(line for line in lines if line["kind"] == "lost")
    rows = next(line["fast"] for line in lines if line.get("fast"))
    lines.close()
    assert lost["device"] == 1
    assert {place for place, _, _ in rows} == {0}


def test_errors_are_told_as_they_come(node: Driver) -> None:
    """XID errors, of the device that has them, in their order."""
    node.say(count=2, events=[{"gpu": 1, "type": 8, "data": 79}])
    lines = node.lines()
    first = next(line for line in lines if line["kind"] == "xid")
    more = [{"gpu": 1, "type": 8, "data": 79}, {"gpu": 0, "type": 8, "data": 48}]
    node.say(events=[{"gpu": 1, "type": 8, "data": 79}, *more])
    second = next(line for line in lines if line["kind"] == "xid")
    third = next(line for line in lines if line["kind"] == "xid")
    lines.close()
    assert [(one["device"], one["xid"]) for one in (first, second, third)] == [
        (1, 79),
        (1, 79),
        (0, 48),
    ]


def test_an_error_of_an_instance_is_that_instances(node: Driver) -> None:
    """One of the whole card is every instance's."""
    mig = [{"uuid": f"MIG-{n}", "gi": n, "profile": 0, "memory_total": 6} for n in (1, 2)]
    events = [{"gpu": 0, "type": 8, "data": 13, "instance": 2}, {"gpu": 0, "type": 8, "data": 79}]
    node.say(cards={"0": {"values": {"mig_mode": 1}, "mig": mig}}, events=events)
    lines = node.lines()
    seen = [next(line for line in lines if line["kind"] == "xid") for _ in range(3)]
    lines.close()
    assert [(one["device"], one["xid"]) for one in seen] == [(1, 13), (0, 79), (1, 79)]


def test_a_driver_that_hangs_does_not_silence_the_program(node: Driver) -> None:
    """It lives, and says so."""
    lines = node.lines()
    next(line for line in lines if line.get("fast"))
    node.say(delay_ms={"*": 600_000})
    assert next(line for line in lines if line["kind"] == "beat")
    lines.close()


def test_a_driver_that_hangs_from_the_start(node: Driver) -> None:
    """No hello, and a sign of life."""
    node.say(delay_ms={"nvmlInit_v2": 600_000})
    lines = node.lines()
    assert next(lines) == {"kind": "beat"}
    lines.close()


def test_a_process_that_grows_ends(node: Driver) -> None:
    """A leak of the library's costs a fresh start, and no memory of the pod's."""
    said = last(node, "--memory-mib", "1")
    assert said["outcome"] == "failed"
    assert said["text"].startswith("its reader grew to ")


@pytest.mark.parametrize("hangs", [False, True])
def test_it_ends_when_nobody_reads_any_more(node: Driver, hangs: bool) -> None:
    """An observer that was killed leaves nothing behind, even while the driver hangs."""
    child = node.start([])
    assert child.stdout is not None
    child.stdout.readline()
    if hangs:
        node.say(delay_ms={"*": 600_000})
        while b"beat" not in child.stdout.readline():
            pass
    child.stdout.close()
    child.stdout = None
    assert child.wait(DEADLINE_SECONDS) == 0
