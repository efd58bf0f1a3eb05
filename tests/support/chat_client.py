"""A client of `chat_engine.py`: `python chat_client.py ADDRESS PORT`, then a line for each step.

`new`: open a connection. `{...}`: ask on it, read the answer to its end. `reset {...}` and
`leave {...}`: ask for a stream, read as many chunks as it has, then break off (RST, FIN).
`close`: say that no more comes, and wait for the server's end. Each step answers with a line.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import sys


def ask(connection: http.client.HTTPConnection, body: str) -> http.client.HTTPResponse:
    """Send a request; return when the head of the answer is there."""
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    return connection.getresponse()


def break_off(connection: http.client.HTTPConnection, body: str, how: str) -> None:
    """Leave in the middle of a stream."""
    answer = ask(connection, body)
    seen = b""
    while seen.count(b"data: ") < json.loads(body)["chunks"] or not seen.endswith(b"\n\n"):
        seen += answer.read1(65536)
    wire = connection.sock
    assert wire is not None
    if how == "reset":
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer.close()
    connection.close()


def close(connection: http.client.HTTPConnection) -> None:
    """End the connection and see the other end end it too."""
    wire = connection.sock
    assert wire is not None
    wire.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        wire.recv(1)
    connection.close()


def main() -> None:
    """Do what the lines say."""
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
    for line in sys.stdin:
        what, _, rest = line.strip().partition(" ")
        if what == "new":
            connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
            connection.connect()
        elif what in ("reset", "leave"):
            break_off(connection, rest, what)
        elif what == "close":
            close(connection)
        else:
            what = str(len(ask(connection, line.strip()).read()))
        print(what, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
