"""The tap: a second source of frames. It reads the pod's packets and is in nobody's path.

Packets of one port (`capture`, with the kernel's filter from `packet_filter`) are parsed (`packet`)
and put together again (`stream`, `connections`: sans I/O) into the same frames that the relay
emits; tee and observer are the relay's own. Standard library only. It never sends anything, and has
no capability left once its socket is open. Start it with ``python -m sidelight_sidecar.tap``.
"""
