"""Which run of the engine is at the other end of a connection."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

# The key, in the WSGI environment of a request, of the identity of the engine that sent it.
ENGINE = "pyipam.engine"

# asm-generic/socket.h, since Linux 6.5; Python 3.11 does not name it.
_SO_PEERPIDFD = 77


def engine_of(connection: socket.socket) -> str:
    """What identifies the process that made the connection, empty if the kernel does not say.

    Since Linux 6.9 the process file descriptors of each process have an inode of their own, which
    no other process has until the next boot (pidfs). Before, all processes share one inode.
    """
    try:
        peer = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return ""
    try:
        inode = os.fstat(peer).st_ino
        return "" if inode == _own_inode() else f"{_boot_id()}:{inode}"
    except OSError:
        # Without /proc, which every plugin has, boots cannot be told apart.
        return ""
    finally:
        os.close(peer)


@cache
def _own_inode() -> int:
    own = os.pidfd_open(os.getpid())
    try:
        return os.fstat(own).st_ino
    finally:
        os.close(own)


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
