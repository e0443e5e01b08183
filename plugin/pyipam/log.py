"""The log: one line of key=value pairs for each change, on standard output, which dockerd reads.

Formatting and writing a line costs more than deciding the call that it is about. So the thread that
serves the calls collects its lines (`collecting`) and writes many at once: warnings and errors
before the answers to their calls, all others after them, when no call has come for a moment. Until
then, the latter are not even formatted. Other threads write their lines at once, after those that
are pending. A process that is killed with SIGKILL loses its latest lines, but no warning about a
call that was answered.

Nothing waits for the reader of the log. If it is slow, lines stay pending in memory. If there are
too many, or nobody reads, lines are dropped, and a line says how many.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_PLAIN = re.compile(r"[\w./:+,!@-]+", re.ASCII)
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LEVEL_NAMES = tuple(_LEVELS)

MAX_PENDING_BYTES = 1024 * 1024
# The collecting thread formats its lines once there are more than this: so seldom that hardly one
# call in a hundred waits for it.
_MAX_UNFORMATTED_LINES = 256
# It writes them once they are longer than this.
_MAX_COLLECTED_BYTES = 32 * 1024
# A pipe that poll(2) calls writable accepts this much without blocking (pipe(7)).
_MAX_WRITE_BYTES = select.PIPE_BUF
_STDOUT = 1
_EXIT_TIMEOUT_SECONDS = 0.1


class Line(NamedTuple):
    """A line that is not formatted yet: its level (see logging), its event, and its fields."""

    level: int
    event: str
    fields: dict[str, object]


class Output:
    """A descriptor, and the lines that are pending for it. Never blocks.

    Only threads whose lines are collected may call `add_unformatted`. Private methods require the
    lock, except `_flush_unless_collected`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.Lock()
        # The identifiers of the threads whose lines are collected. Replaced, never changed.
        self._collectors: frozenset[int] = frozenset()
        self._unformatted: deque[Line] = deque()
        self._pending = bytearray()
        self._has_pending_warning = False
        self._dropped = 0

    @property
    def is_collected(self) -> bool:
        """Whether the lines of this thread are collected."""
        return threading.get_ident() in self._collectors

    def begin_collecting(self) -> None:
        """Collect the lines of this thread."""
        with self._lock:
            self._collectors |= {threading.get_ident()}

    def end_collecting(self) -> None:
        """Write the lines of this thread at once again."""
        with self._lock:
            self._collectors -= {threading.get_ident()}

    def add(self, level: int, text: str) -> None:
        """Add a line. It is written at once, unless it is one of a collecting thread."""
        with self._lock:
            self._format_pending()
            self._append(level, text)
            self._has_pending_warning |= level >= logging.WARNING
        self._flush_unless_collected()

    def add_unformatted(self, line: Line) -> None:
        """Add a line that is formatted by the next `add` or flush, or when there are many."""
        self._unformatted.append(line)
        if len(self._unformatted) > _MAX_UNFORMATTED_LINES:
            with self._lock:
                self._format_pending()
            self._flush_unless_collected()

    def _format_pending(self) -> None:
        while self._unformatted:
            level, event, fields = self._unformatted.popleft()
            self._append(level, format_line(event, **fields))

    def _append(self, level: int, text: str) -> None:
        content = f"level={logging.getLevelName(level)} {text}\n".encode()
        if len(self._pending) + len(content) > MAX_PENDING_BYTES:
            self._dropped += 1
        else:
            self._pending += content

    def _flush_unless_collected(self) -> None:
        if not self.is_collected or len(self._pending) > _MAX_COLLECTED_BYTES:
            self.flush()

    def flush(self, within: float = 0.0) -> bool:
        """Write the pending lines, as far as the reader takes them within this many seconds.

        Returns whether all were written.
        """
        end = time.monotonic() + within
        with self._lock:
            self._has_pending_warning = False
            self._format_pending()
            while self._pending:
                left = max(end - time.monotonic(), 0.0)
                if not self._poll.poll(left * 1000) or not self._write_piece():
                    break
            return not self._pending

    def flush_warnings(self) -> None:
        """Write the pending lines if one of them is a warning or an error."""
        if self._has_pending_warning:
            self.flush()

    def _write_piece(self) -> bool:
        """Whether the reader took a piece."""
        try:
            written = os.write(self._descriptor, self._pending[:_MAX_WRITE_BYTES])
        except BlockingIOError:
            return False
        except OSError:
            # Nobody reads. A later reader is told how many lines it missed.
            self._dropped += self._pending.count(b"\n")
            self._pending.clear()
            return False
        del self._pending[:written]
        if self._dropped and not self._pending:
            text = format_line("lines of the log were lost", count=self._dropped)
            self._pending += f"level=WARNING {text}\n".encode()
            self._dropped = 0
        return True


class LibraryHandler(logging.Handler):
    """Makes a line of what a library logs, whose messages may quote clients."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._lines = output

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info is not None:
            fields["trace"] = "".join(traceback.format_exception(*record.exc_info))
        self._lines.add(record.levelno, format_line("library", **fields))


_output = Output(_STDOUT)
# Until `write_to` or `to_stdout` is called, nothing is written.
_threshold = logging.CRITICAL


def format_line(event: str, **fields: object) -> str:
    """One line, without its level: the event, and the fields as key=value.

    Values that are not plain words are quoted as JSON strings. So nothing that a client sends can
    end the line or look like another field.
    """
    parts = [event]
    for name, value in fields.items():
        text = str(value)
        parts.append(f"{name}={text if _PLAIN.fullmatch(text) else json.dumps(text)}")
    return " ".join(parts)


def debug(event: str, **fields: object) -> None:
    """Write what only somebody who looks for a fault wants to know."""
    write(Line(logging.DEBUG, event, fields))


def info(event: str, **fields: object) -> None:
    """Write what has changed."""
    write(Line(logging.INFO, event, fields))


def warning(event: str, **fields: object) -> None:
    """Write what an operator ought to look at."""
    write(Line(logging.WARNING, event, fields))


def error(event: str, **fields: object) -> None:
    """Write what an operator must act on."""
    write(Line(logging.ERROR, event, fields))


def write(line: Line) -> None:
    """Write a line, if its level is to be written."""
    if line.level < _threshold:
        return
    if line.level < logging.WARNING and _output.is_collected:
        _output.add_unformatted(line)
    else:
        _output.add(line.level, format_line(line.event, **line.fields))


def write_to(output: Output, level: str) -> None:
    """Write lines of this level (one of LEVEL_NAMES) and above to the output."""
    global _output, _threshold
    _output, _threshold = output, _LEVELS[level]


def to_stdout(level: str) -> None:
    """Write lines of this level (one of LEVEL_NAMES) and above to standard output.

    Warnings and errors of libraries are written as lines too.
    """
    output = Output(_STDOUT)
    write_to(output, level)
    libraries = logging.getLogger()
    libraries.handlers[:] = [LibraryHandler(output)]
    libraries.setLevel(max(_threshold, logging.WARNING))
    # Waitress warns whenever a request waits for a thread, which is normal.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


@contextmanager
def collecting() -> Iterator[None]:
    """While this is open, lines of this thread are pending until there are many, or `flush`."""
    output = _output
    output.begin_collecting()
    try:
        yield
    finally:
        output.end_collecting()
        output.flush()


def flush() -> bool:
    """Write the pending lines, as far as the reader takes them at once; whether that was all."""
    return _output.flush()


def flush_warnings() -> None:
    """Write the pending lines if one of them is a warning or an error."""
    _output.flush_warnings()


def flush_at_exit() -> None:
    """Write the pending lines, and give a slow reader a moment to take them."""
    _output.flush(_EXIT_TIMEOUT_SECONDS)
