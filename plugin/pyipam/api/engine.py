"""Which run of the engine is at the other end of a connection."""

from __future__ import annotations

import errno
import os
import socket
from functools import cache
from pathlib import Path

# The key, in the WSGI environment of a request, of the identity of the engine that sent it.
ENGINE = "pyipam.engine"

# asm-generic/socket.h, since Linux 6.5; Python 3.11 does not name it.
_SO_PEERPIDFD = 77
# What the kernel answers of a process that has ended: net/core/sock.c, sk_getsockopt.
_GONE = (errno.EINVAL, errno.ENODATA, errno.ESRCH)
# Where the kernel lists the UNIX sockets of the network namespace, which the plugin shares with its
# engine: proc_pid_net(5).
UNIX_SOCKETS = Path("/proc/net/unix")
# net.h: the socket listens (__SO_ACCEPTCON).
_LISTENS = 0x10000
# The socket that each dockerd makes anew when it starts, before it starts any plugin, and that it
# listens on until it ends: moby, daemon/metrics_unix.go, listenMetricsSock.
_METRICS_SOCKET = "/metrics.sock"


def engine_of(connection: socket.socket, unix_sockets: Path = UNIX_SOCKETS) -> str:
    """What identifies the run of the engine that made the connection, empty if nothing does.
    `unix_sockets` lists the sockets of the network namespace.

    Since Linux 6.9 the process file descriptors of each process have an inode of their own, which
    no other process has until the next boot (pidfs). Before, all processes share one inode, and
    whoever calls is taken for the engine of the host, if there is just one.
    """
    try:
        peer = _process_of(connection)
        return f"{_boot_id()}:{peer}" if peer else engine_that_listens(unix_sockets)
    except OSError:
        # The client is gone, or there is no /proc, which every plugin has.
        return ""


def engine_that_listens(unix_sockets: Path) -> str:
    """What identifies the only dockerd of the network namespace, whose sockets the kernel lists in
    this file; empty if there is none, or several. Raises OSError if the file cannot be read."""
    listening = []
    for line in unix_sockets.read_text("utf-8", "replace").splitlines()[1:]:
        # Num, RefCount, Protocol, Flags, Type, St, Inode and, of some, Path.
        fields = line.split(maxsplit=7)
        if (
            len(fields) == 8
            and fields[7].endswith(_METRICS_SOCKET)
            and int(fields[3], 16) & _LISTENS
        ):
            listening.append(fields[6])
    return f"{_boot_id()}:socket:{listening[0]}" if len(listening) == 1 else ""


def _process_of(connection: socket.socket) -> int:
    """The inode of the process at the other end; 0 if the kernel has none for each process. Raises
    OSError if the process is gone."""
    try:
        peer = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno in _GONE:
            raise
        return 0
    try:
        inode = os.fstat(peer).st_ino
        return 0 if inode == _own_inode() else inode
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
