"""Which devices are read: those of some UUIDs, or all of a container that sees its own alone.

A device that is partitioned (MIG) stands for its instances; each is a device of its own, with its
parent's power, clocks and heat, which are not its alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pynvml

from sidelight_sidecar.nvml.gpm import Gpm
from sidelight_sidecar.nvml.library import (
    EndError,
    LostError,
    TransientError,
    UnsupportedError,
    asked,
)
from sidelight_sidecar.nvml.plan import Plan
from sidelight_sidecar.nvml.queries import QUERIES, Handle
from sidelight_sidecar.nvml.words import MAX_DEVICES, Outcome

T = TypeVar("T")


@dataclass(slots=True)
class Found:
    """A device, or an instance of one, and what it is asked."""

    own: Handle
    whole: Handle
    facts: dict[str, str]
    """As in the line `hello`."""
    instance: int = -1
    fast: Plan = field(default_factory=Plan)
    slow: Plan = field(default_factory=Plan)
    lost: bool = False


@dataclass(slots=True)
class Node:
    """What the driver shows.

    Attributes:
        lost: devices that do not answer: their number, and why.
    """

    versions: dict[str, str]
    found: list[Found] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def discover(uuids: Sequence[str], *, visible_all: bool) -> Node:
    """Find the devices to read, and what each answers.

    Args:
        uuids: those of the pod; empty: all that are visible.
        visible_all: the container sees the node's devices, not the pod's alone.

    Raises:
        EndError: there is nothing to read.
    """
    node = Node(_versions())
    there = list(_devices(node))
    wanted = {uuid.lower() for uuid in uuids}
    if not there:
        if node.lost:
            raise EndError(Outcome.DEVICES_LOST, next(iter(node.lost.values())))
        raise EndError(Outcome.NO_DEVICES, "the driver shows no device here")
    if visible_all and not wanted and len(there) > 1:
        # With a single device on the node it can only be the pod's: the pod has one.
        raise EndError(Outcome.OWN_DEVICES_UNKNOWN, f"{len(there)} devices are visible")
    if wanted:
        names = [{one.facts["uuid"].lower(), one.facts["parent"].lower()} for one in there]
        node.missing = [uuid for uuid in uuids if not any(uuid.lower() in n for n in names)]
        there = [one for one, name in zip(there, names, strict=True) if wanted & name]
        if not there:
            text = f"{len(names)} devices are visible, and none is {', '.join(uuids)}"
            raise EndError(Outcome.OWN_DEVICES_MISSING, text)
    node.found = there[:MAX_DEVICES]
    for one in node.found:
        _make_plans(one)
    return node


def unsupported(plans: Iterable[Plan]) -> dict[str, str]:
    """What was not told yet of what devices do not support: each signal once, with the driver's
    word. A signal that only some of the devices lack is told, too.
    """
    told: dict[str, str] = {}
    for plan in plans:
        told |= plan.unsupported
        plan.unsupported = {}
    return told


def _make_plans(one: Found) -> None:
    try:
        for query in QUERIES:
            plan = one.fast if query.fast else one.slow
            plan.add(query, one.own, one.whole)
        try:
            one.slow.asks.append(Gpm(one.own, one.whole, one.instance))
        except UnsupportedError as error:
            why = dict.fromkeys(("sm_active", "tensor_active", "dram_active"), str(error))
            one.slow.unsupported.update(why)
        except TransientError:
            pass
    except LostError:
        one.lost = True


def _devices(node: Node) -> Iterator[Found]:
    """Each device, or in its place its instances; what does not answer is noted as lost."""
    for index in range(_or(pynvml.nvmlDeviceGetCount, 0)):
        try:
            yield from _of_index(index)
        except LostError as error:
            node.lost[index] = str(error)
        except (UnsupportedError, TransientError):
            continue  # not permitted: another container's


def _of_index(index: int) -> list[Found]:
    handle = asked(lambda: pynvml.nvmlDeviceGetHandleByIndex(index))
    facts = {
        "uuid": asked(lambda: pynvml.nvmlDeviceGetUUID(handle)),
        "index": str(index),
        "model": _or(lambda: pynvml.nvmlDeviceGetName(handle), ""),
        "pci_bus_id": _or(lambda: _bus(handle), ""),
        "parent": "",
        "instance": "",
        "profile": "",
    }
    if not _or(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0], 0):
        return [Found(handle, handle, facts)]
    return [_instance(handle, instance, facts) for instance in _instances(handle)]


def _bus(handle: Handle) -> str:
    told = pynvml.nvmlDeviceGetPciInfo(handle).busId
    return told.decode() if isinstance(told, bytes) else str(told)  # older bindings: bytes


def _instances(parent: Handle) -> Iterator[Handle]:
    by_index = pynvml.nvmlDeviceGetMigDeviceHandleByIndex
    for place in range(_or(lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(parent), 0)):
        instance = _or(partial(by_index, parent, place), None)
        if instance is not None:
            yield instance


def _instance(parent: Handle, handle: Handle, of_parent: dict[str, str]) -> Found:
    number = _or(lambda: pynvml.nvmlDeviceGetGpuInstanceId(handle), -1)
    facts = of_parent | {
        "uuid": asked(lambda: pynvml.nvmlDeviceGetUUID(handle)),
        "parent": of_parent["uuid"],
        "instance": "" if number < 0 else str(number),
        "profile": _or(lambda: _profile(pynvml.nvmlDeviceGetAttributes(handle)), ""),
    }
    return Found(handle, parent, facts, number)


def _profile(attributes: object) -> str:
    """A profile's name, as the driver's tools make it of the instance's attributes."""
    whole = getattr(attributes, "gpuInstanceSliceCount", 0)
    part = getattr(attributes, "computeInstanceSliceCount", whole)
    gigabytes = math.ceil(getattr(attributes, "memorySizeMB", 0) / 1024)
    return f"{f'{part}c.' if part != whole else ''}{whole}g.{gigabytes}gb"


def _versions() -> dict[str, str]:
    cuda = _or(pynvml.nvmlSystemGetCudaDriverVersion_v2, 0)
    return {
        "driver_version": _or(pynvml.nvmlSystemGetDriverVersion, ""),
        "cuda_version": f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "",
    }


def _or(call: Callable[[], T], otherwise: T) -> T:
    """What a call tells; where it is not supported, or not this time, `otherwise`."""
    try:
        return asked(call)
    except (UnsupportedError, TransientError):
        return otherwise
