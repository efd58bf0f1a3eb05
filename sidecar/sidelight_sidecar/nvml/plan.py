"""What of the table one device answers, and one round of it.

Rules:
1. Every way is tried once, when the plan is made; one that only failed this time stays.
2. What turns out unsupported later is left out from then on, and told then.
3. A value that the library marks as not available is as if it were not told.
"""

import ctypes
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pynvml

from sidelight_sidecar.nvml.library import TransientError, UnsupportedError, asked, judged
from sidelight_sidecar.nvml.queries import Call, Fields, Handle, Query, known

Values = dict[str, Any]
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Of a field value, by its type."""
NOT_SUPPORTED = "Not Supported"


class Ask(Protocol):
    """Something that is asked of a device again and again."""

    @property
    def signals(self) -> Collection[str]:
        """What it tells."""
        ...

    def read(self, unsupported: dict[str, str]) -> Values:
        """What it tells now; parts of it that never will be told go into `unsupported`."""
        ...


@dataclass(slots=True)
class FunctionAsk:
    """One function of the library's."""

    signals: Collection[str]
    call: Call
    handle: Handle

    def read(self, unsupported: dict[str, str]) -> Values:  # noqa: ARG002
        """See Ask: all of it, or nothing."""
        told = asked(lambda: self.call.read(self.handle))
        pairs = zip(self.signals, told, strict=True)
        return {signal: value for signal, value in pairs if value is not None}


@dataclass(slots=True)
class FieldsAsk:
    """Field values of one handle, all in one call."""

    handle: Handle
    parts: dict[str, Fields] = field(default_factory=dict)

    @property
    def signals(self) -> Collection[str]:
        """See Ask."""
        return self.parts

    def read(self, unsupported: dict[str, str]) -> Values:
        """See Ask."""
        wanted = [one for part in self.parts.values() for one in part.wanted]
        told = iter(asked(lambda: pynvml.nvmlDeviceGetFieldValues(self.handle, wanted)))
        values: Values = {}
        for signal, part in list(self.parts.items()):
            mine = [next(told) for _ in part.wanted]
            try:
                values[signal] = part.unit(sum(_numbers(mine)))
            except UnsupportedError as error:
                unsupported[signal] = str(error)
                del self.parts[signal]
            except TransientError:
                continue
        if self.parts and not values:
            raise TransientError("no field told")
        return values


def _numbers(told: Iterable[Any]) -> list[int]:
    """The numbers of those fields that have one.

    Raises:
        UnsupportedError, TransientError: none has, for what the first says.
        LostError, EndError: one says so.
    """
    found: list[int] = []
    whys: list[Exception] = []
    for one in told:
        if one.nvmlReturn:
            why = judged(one.nvmlReturn, str(pynvml.NVMLError(one.nvmlReturn)))
            if not isinstance(why, (UnsupportedError, TransientError)):
                raise why
            whys.append(why)
            continue
        value = known(int(getattr(one.value, _MEMBERS[one.valueType])))
        if value is None:
            whys.append(TransientError("not available"))
        else:
            found.append(value)
    if not found:
        raise whys[0]
    return found


@dataclass(slots=True)
class Plan:
    """What one device is asked at one pace.

    Attributes:
        unsupported: signals of which nobody was told yet, with the driver's word for it.
    """

    asks: list[Ask] = field(default_factory=list)
    unsupported: dict[str, str] = field(default_factory=dict)

    def add(self, query: Query, own: Handle, whole: Handle) -> None:
        """Try the ways of a query, and keep the first that is answered.

        Args:
            query: the row of the table.
            own: of the instance where the device is one, else the same as `whole`.
            whole: of the device.

        Raises:
            LostError, EndError: the device, or the driver, is gone.
        """
        handle = own if query.of_instance else whole
        why: dict[str, str] = {}
        for way in query.ways:
            ask = _ask(way, query.signals, handle)
            try:
                ask.read(why)
            except UnsupportedError as error:
                why.update(dict.fromkeys(query.signals, str(error)))
                continue
            except TransientError:
                pass
            if ask.signals:
                self._keep(ask)
                return
        self.unsupported.update(why)

    def _keep(self, ask: Ask) -> None:
        if isinstance(ask, FieldsAsk):
            for other in self.asks:
                if isinstance(other, FieldsAsk) and same(other.handle, ask.handle):
                    other.parts.update(ask.parts)
                    return
        self.asks.append(ask)

    def read(self) -> Values | None:
        """Ask everything once; None: there is something to ask, and nothing answered.

        Raises:
            LostError, EndError: the device, or the driver, is gone.
        """
        values: Values = {}
        answered = not self.asks
        for ask in list(self.asks):
            try:
                values |= ask.read(self.unsupported)
                answered = True
            except UnsupportedError as error:
                self.unsupported.update(dict.fromkeys(ask.signals, str(error)))
                self.asks.remove(ask)
            except TransientError:
                continue
            if not ask.signals:  # what it told it will not tell again
                self.asks.remove(ask)
        return values if answered else None


def same(one: Handle, other: Handle) -> bool:
    """Whether two handles are of the same device."""
    return address(one) == address(other)


def address(handle: Handle) -> int:
    """Of what a handle points to; the library has one for each device."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def nested(values: Mapping[str, Any]) -> Values:
    """Entries of maps (`ecc_errors.corrected`) as maps."""
    result: Values = {}
    for signal, value in values.items():
        name, _, entry = signal.partition(".")
        if entry:
            result.setdefault(name, {})[entry] = value
        else:
            result[name] = value
    return result


def _ask(way: Call | Fields, signals: Collection[str], handle: Handle) -> Ask:
    if isinstance(way, Call):
        return FunctionAsk(signals, way, handle)
    (signal,) = signals
    return FieldsAsk(handle, {signal: way})
