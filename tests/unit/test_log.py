"""The output of the log: what is written when, and readers that are slow or gone."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyipam.log import MAX_PENDING_BYTES, LibraryHandler, Output

INFO, WARNING = logging.INFO, logging.WARNING
LONG = "x" * 1000


class Pipe:
    """A pipe with an output at one end and a reader at the other."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self.output = Output(self.writing)

    def read(self) -> str:
        """What was written and not read yet."""
        content = b""
        try:
            while piece := os.read(self._reading, 65536):
                content += piece
        except BlockingIOError:
            pass
        return content.decode()

    def close(self) -> None:
        for descriptor in (self._reading, self.writing):
            os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def add_in_another_thread(output: Output, text: str) -> None:
    thread = threading.Thread(target=output.add, args=(INFO, text))
    thread.start()
    thread.join()


def read_everything(pipe: Pipe) -> list[str]:
    content = pipe.read()
    while not pipe.output.flush():
        content += pipe.read()
    return (content + pipe.read()).splitlines()


def test_a_line_is_written_at_once(pipe: Pipe) -> None:
    pipe.output.add(INFO, "one")

    assert pipe.read() == "level=INFO one\n"


def test_the_lines_of_the_collecting_thread_are_pending_until_a_flush(pipe: Pipe) -> None:
    pipe.output.begin_collecting()
    pipe.output.add(INFO, "one")
    pipe.output.add(INFO, "two")
    before = pipe.read()

    assert pipe.output.flush()
    assert (before, pipe.read()) == ("", "level=INFO one\nlevel=INFO two\n")


def test_a_line_of_another_thread_is_written_after_the_pending_ones(pipe: Pipe) -> None:
    pipe.output.begin_collecting()
    pipe.output.add(INFO, "one")
    add_in_another_thread(pipe.output, "two")

    assert pipe.read() == "level=INFO one\nlevel=INFO two\n"


def test_many_pending_lines_are_written(pipe: Pipe) -> None:
    pipe.output.begin_collecting()
    for _ in range(34):
        pipe.output.add(INFO, LONG)

    assert len(pipe.read()) > 32 * 1024


@pytest.mark.parametrize(("level", "written"), [(INFO, False), (WARNING, True)])
def test_warnings_are_written_with_the_lines_before_them(
    pipe: Pipe, level: int, written: bool
) -> None:
    pipe.output.begin_collecting()
    pipe.output.add(INFO, "one")
    pipe.output.add(level, "two")
    pipe.output.flush_warnings()

    assert bool(pipe.read()) is written


def test_warnings_are_written_once(pipe: Pipe) -> None:
    pipe.output.begin_collecting()
    pipe.output.add(WARNING, "one")
    pipe.output.flush_warnings()
    pipe.output.add(INFO, "two")
    pipe.output.flush_warnings()

    assert pipe.read() == "level=WARNING one\n"


def test_a_slow_reader_gets_every_line_in_order(pipe: Pipe) -> None:
    lines = [f"{number} {LONG}" for number in range(200)]
    for text in lines:
        pipe.output.add(INFO, text)

    assert read_everything(pipe) == [f"level=INFO {text}" for text in lines]


def test_a_flush_does_not_wait_longer_than_it_may(pipe: Pipe) -> None:
    for _ in range(200):
        pipe.output.add(INFO, LONG)

    assert not pipe.output.flush(within=0.01)


def test_pending_lines_are_bounded_and_dropped_ones_are_counted(pipe: Pipe) -> None:
    count = 2 * MAX_PENDING_BYTES // len(LONG)
    for number in range(count):
        pipe.output.add(INFO, f"{number} {LONG}")
    lines = read_everything(pipe)
    *kept, told = lines

    assert kept == [f"level=INFO {number} {LONG}" for number in range(len(kept))]
    assert sum(map(len, kept)) < MAX_PENDING_BYTES + 2 * 65536
    assert told == f"level=WARNING lines of the log were lost count={count - len(kept)}"


def test_the_next_reader_is_told_how_many_lines_it_missed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    output = Output(writing)
    os.close(first)
    output.add(INFO, "one")
    output.add(INFO, "two")
    second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output.add(INFO, "three")

    assert os.read(second, 65536).decode().splitlines() == [
        "level=INFO three",
        "level=WARNING lines of the log were lost count=2",
    ]
    for descriptor in (writing, second):
        os.close(descriptor)


def test_a_closed_output_is_not_an_error() -> None:
    reading, writing = os.pipe()
    output = Output(writing)
    os.close(writing)
    os.close(reading)
    output.add(INFO, "one")

    assert output.flush()


def test_a_message_of_a_library_is_one_escaped_line(pipe: Pipe) -> None:
    libraries = logging.Logger("waitress")
    libraries.addHandler(LibraryHandler(pipe.output))
    try:
        raise ValueError("x\nlevel=ERROR forged")
    except ValueError:
        libraries.exception("Exception while serving %s", "/\nlevel=ERROR forged")
    (written,) = pipe.read().splitlines()

    assert written.startswith(
        r'level=ERROR library logger=waitress message="Exception while serving /\nlevel=ERROR'
    )
    assert r"ValueError: x\nlevel=ERROR forged" in written
