"""Which run of the engine calls, on kernels that do not tell processes apart."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from pyipam.api.engine import engine_of, engine_that_listens

# As Linux prints /proc/net/unix; net/unix/af_unix.c, unix_seq_show.
HEADER = "Num       RefCount Protocol Flags    Type St Inode Path\n"
OTHERS = (
    "0000000000000000: 00000002 00000000 00010000 0001 01 20001 /run/docker.sock\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 20002\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 20003 @/with blanks/x\n"
)


def listening(inode: int, path: str = "/var/run/docker/metrics.sock") -> str:
    return f"0000000000000000: 00000002 00000000 00010000 0001 01 {inode} {path}\n"


def accepted(inode: int) -> str:
    return (
        f"0000000000000000: 00000003 00000000 00000000 0001 03 {inode} /run/docker/metrics.sock\n"
    )


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    return tmp_path / "unix"


def identity(sockets: Path, *lines: str) -> str:
    sockets.write_text(HEADER + OTHERS + "".join(lines))
    return engine_that_listens(sockets)


def test_a_run_of_the_engine_has_the_socket_that_it_made(sockets: Path) -> None:
    first = identity(sockets, listening(30001))
    assert first
    assert identity(sockets, accepted(30002), listening(30001)) == first
    assert identity(sockets, listening(30003)) != first


def test_the_engine_may_keep_its_sockets_anywhere(sockets: Path) -> None:
    assert identity(sockets, listening(30001, "/mnt/a disk/exec/metrics.sock"))


@pytest.mark.parametrize(
    "lines",
    [(), (listening(30001), listening(30002, "/run/second/metrics.sock")), (accepted(30001),)],
    ids=["no engine", "two engines", "no socket that listens"],
)
def test_where_there_is_not_just_one_engine_none_is_identified(
    sockets: Path, lines: tuple[str, ...]
) -> None:
    assert identity(sockets, *lines) == ""


class OfAnOldKernel(socket.socket):
    """A connection of which the kernel cannot say by which process it was made."""

    def getsockopt(self, *_: object) -> Any:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


def test_no_engine_is_identified_where_the_kernel_lists_no_sockets(sockets: Path) -> None:
    with OfAnOldKernel(socket.AF_UNIX) as connection:
        assert engine_of(connection, sockets) == ""


def test_a_kernel_that_tells_no_processes_apart_has_the_socket_of_the_engine_to_go_by(
    sockets: Path,
) -> None:
    expected = identity(sockets, listening(30001))
    with OfAnOldKernel(socket.AF_UNIX) as connection:
        assert engine_of(connection, sockets) == expected


class OfAProcessThatHasEnded(socket.socket):
    """A connection of which the kernel cannot say any more who made it."""

    def getsockopt(self, *_: object) -> Any:
        raise OSError(errno.ESRCH, "No such process")


def test_a_client_that_is_gone_is_not_taken_for_the_engine(sockets: Path) -> None:
    assert identity(sockets, listening(30001))
    with OfAProcessThatHasEnded(socket.AF_UNIX) as connection:
        assert engine_of(connection, sockets) == ""
