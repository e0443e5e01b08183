"""Tells systemd that a service is ready: sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket


def tell_ready() -> None:
    """Say so, if systemd started this process and waits for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # An abstract socket begins with a zero. Who does not listen does not wait either.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"READY=1", name)
