"""What sinks need to know of a record to put it in its place; the rest is passed on as it is."""

import msgspec


class _Origin(msgspec.Struct):
    namespace: str = ""
    observed_model: str = ""
    version: str = ""


class _Times(msgspec.Struct):
    start_unix_ns: int


class Heading(msgspec.Struct):
    """Of one record; names as in `records/record.py`."""

    id: str
    request_id: str
    origin: _Origin
    times: _Times


_decoder = msgspec.json.Decoder(Heading)


def read_heading(record: bytes) -> Heading:
    """That of a record's line.

    Raises:
        msgspec.DecodeError: it is no record.
    """
    return _decoder.decode(record)
