"""Give every capability away once the packet socket is open.

The socket stays readable without any. `no_new_privs` and the empty sets hold for the observer too,
which is started after this, and for whatever else is ever executed.
"""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct

# linux/prctl.h, linux/capability.h
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION_3 = 0x20080522
MAX_CAPABILITIES = 64

_header = Struct("=Ii").pack
_sets = Struct("=6I").pack  # effective, permitted, inheritable; then their higher halves


def drop_all() -> None:
    """Leave this thread, and what it starts, without capabilities and without a way to new ones.

    The bounding set can be emptied only by who has SETPCAP; without it, that set gives nothing
    back, for `no_new_privs` is on.

    Raises:
        OSError: the kernel did not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    _call(libc, "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(libc, "prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(MAX_CAPABILITIES):
        if libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0:
            break
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            if ctypes.get_errno() != errno.EPERM:
                _fail("prctl")
            break
    _call(libc, "capset", _header(CAPABILITY_VERSION_3, 0), _sets(0, 0, 0, 0, 0, 0))


def _call(libc: ctypes.CDLL, name: str, *arguments: int | bytes) -> None:
    if getattr(libc, name)(*arguments) < 0:
        _fail(name)


def _fail(name: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"tap: cannot drop capabilities: {name}: {os.strerror(number)}")
