"""The log: one line for each change, key=value, ending in the log of dockerd.

To write a line by itself costs more than to decide what it tells of. So the thread that serves
the calls collects its lines (`collected`) and writes many at once: warnings and errors before the
answers to the calls that they are about, all others when no call has come for a moment. What
those tell of is put into words once the answers are sent. Other threads write theirs at once,
behind what waits. A process that is killed with SIGKILL loses the lines of its last moment, but
no warning about a call that was answered.

Nobody waits for who reads the log. Where the reader is slow, lines wait in memory; where they
become too many, or nobody reads, they are dropped, and a line tells how many.
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

_PLAIN = re.compile(r"[\w./:+,!@-]+", re.ASCII)
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LEVEL_NAMES = tuple(_LEVELS)

MOST_WAITING = 1024 * 1024
_WRITTEN_AT_ONCE = 32 * 1024
# A pipe that can be written to takes as much without waiting (PIPE_BUF, pipe(7)).
_PIECE = 4096
_STDOUT = 1
_SECONDS_AT_THE_END = 0.1


class Output:
    """A descriptor that lines are written to, and the lines that wait for it. Never blocks."""

    def __init__(self, descriptor: int) -> None:
        self.collector: int | None = None
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.Lock()
        self._without_words: deque[tuple[int, str, dict[str, object]]] = deque()
        self._waiting = bytearray()
        self._warning_waits = False
        self._lost = 0

    def add(self, level: int, text: str) -> None:
        """Write a line; one of the collecting thread may wait for others."""
        with self._lock:
            self._put_into_words()
            self._append(level, text)
            self._warning_waits |= level >= logging.WARNING
        self._flush_many()

    def add_later(self, level: int, event: str, fields: dict[str, object]) -> None:
        """Write a line of the collecting thread once `put_into_words` or a flush is called."""
        self._without_words.append((level, event, fields))

    def put_into_words(self) -> None:
        """Make the lines that were added to be written later."""
        if self._without_words:
            with self._lock:
                self._put_into_words()
            self._flush_many()

    def _put_into_words(self) -> None:
        while self._without_words:
            level, event, fields = self._without_words.popleft()
            self._append(level, line(event, **fields))

    def _append(self, level: int, text: str) -> None:
        content = f"level={logging.getLevelName(level)} {text}\n".encode()
        if len(self._waiting) + len(content) > MOST_WAITING:
            self._lost += 1
        else:
            self._waiting += content

    def _flush_many(self) -> None:
        if self.collector != threading.get_ident() or len(self._waiting) > _WRITTEN_AT_ONCE:
            self.flush()

    def flush(self, patience: float = 0.0) -> bool:
        """Write what waits, as far as it is taken within so many seconds; whether all was."""
        end = time.monotonic() + patience
        with self._lock:
            self._warning_waits = False
            self._put_into_words()
            while self._waiting:
                left = max(end - time.monotonic(), 0.0)
                if not self._poll.poll(left * 1000) or not self._write_piece():
                    break
            return not self._waiting

    def flush_warnings(self) -> None:
        """Write what waits, if there is a warning or an error in it."""
        if self._warning_waits:
            self.flush()

    def _write_piece(self) -> bool:
        """Whether it was taken."""
        try:
            written = os.write(self._descriptor, self._waiting[:_PIECE])
        except BlockingIOError:
            return False
        except OSError:
            # Nobody reads. What is old by then is not kept for who may read later.
            self._lost += self._waiting.count(b"\n")
            self._waiting.clear()
            return False
        del self._waiting[:written]
        if self._lost and not self._waiting:
            text = line("lines of the log were lost", count=self._lost)
            self._waiting += f"level=WARNING {text}\n".encode()
            self._lost = 0
        return True


class Libraries(logging.Handler):
    """Takes in what libraries have to say, which quote clients as they please."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info is not None:
            fields["trace"] = "".join(traceback.format_exception(*record.exc_info))
        _output.add(record.levelno, line("library", **fields))


_output = Output(_STDOUT)
# Nothing is written before `to_stdout`.
_threshold = logging.CRITICAL


def line(event: str, **fields: object) -> str:
    """One line. Values that are not plain words are quoted as JSON strings, so nothing that a
    client sent can end the line or pass for another field."""
    parts = [event]
    for name, value in fields.items():
        text = str(value)
        parts.append(f"{name}={text if _PLAIN.fullmatch(text) else json.dumps(text)}")
    return " ".join(parts)


def debug(event: str, **fields: object) -> None:
    _write(logging.DEBUG, event, fields)


def info(event: str, **fields: object) -> None:
    _write(logging.INFO, event, fields)


def warning(event: str, **fields: object) -> None:
    _write(logging.WARNING, event, fields)


def error(event: str, **fields: object) -> None:
    _write(logging.ERROR, event, fields)


def _write(level: int, event: str, fields: dict[str, object]) -> None:
    if level < _threshold:
        return
    if level < logging.WARNING and _output.collector == threading.get_ident():
        _output.add_later(level, event, fields)
    else:
        _output.add(level, line(event, **fields))


def to_stdout(level: str) -> None:
    """Write lines of this level (one of LEVEL_NAMES) and above to standard output."""
    global _threshold
    _threshold = _LEVELS[level]
    # What libraries have to say goes the same way. That a request waits for a thread is no news.
    libraries = logging.getLogger()
    libraries.handlers[:] = [Libraries()]
    libraries.setLevel(max(_threshold, logging.WARNING))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


@contextmanager
def collected() -> Iterator[None]:
    """Inside, lines of this thread wait for `flush`, or until they are many."""
    _output.collector = threading.get_ident()
    try:
        yield
    finally:
        _output.collector = None
        flush()


def flush() -> bool:
    """Write what waits, as far as it is taken at once; whether all was."""
    return _output.flush()


def put_into_words() -> None:
    """Make the lines of what the collecting thread has told of: when nobody waits for it."""
    _output.put_into_words()


def flush_warnings() -> None:
    """Write what waits, if there is a warning or an error in it."""
    _output.flush_warnings()


def end() -> None:
    """Write what waits, and give a slow reader a moment to take it."""
    _output.flush(_SECONDS_AT_THE_END)
