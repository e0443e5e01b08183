"""Which run of the engine is at the other end of a connection."""

from __future__ import annotations

import os
import socket
from pathlib import Path

# The run of the engine, in the environment of a request.
ENGINE = "pyipam.engine"

# asm-generic/socket.h, since Linux 6.5; Python 3.11 does not name it.
_SO_PEERPIDFD = 77


def engine_of(connection: socket.socket) -> str:
    """An identity of the process that made the connection, empty where the kernel tells none.

    A process file descriptor of Linux 6.9 and later has an inode of its own, which no other
    process has until the next boot (pidfs). Before, all share one, and nothing can be told.
    """
    try:
        peer = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return ""
    own = os.pidfd_open(os.getpid())
    try:
        inode = os.fstat(peer).st_ino
        if inode == os.fstat(own).st_ino:
            return ""
        return f"{_boot_id()}:{inode}"
    finally:
        os.close(own)
        os.close(peer)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
