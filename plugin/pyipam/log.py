"""The log: one line for each change, key=value, ending in the log of dockerd."""

from __future__ import annotations

import json
import logging
import re
import sys

_PLAIN = re.compile(r"[\w./:+,!@-]+", re.ASCII)
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LEVEL_NAMES = tuple(_LEVELS)

logger = logging.getLogger("pyipam")


def line(event: str, **fields: object) -> str:
    """One line. Values that are not plain words are quoted as JSON strings, so nothing that a
    client sent can end the line or pass for another field."""
    parts = [event]
    for name, value in fields.items():
        text = str(value)
        parts.append(f"{name}={text if _PLAIN.fullmatch(text) else json.dumps(text)}")
    return " ".join(parts)


def debug(event: str, **fields: object) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug(line(event, **fields))


def info(event: str, **fields: object) -> None:
    if logger.isEnabledFor(logging.INFO):
        logger.info(line(event, **fields))


def warning(event: str, **fields: object) -> None:
    logger.warning(line(event, **fields))


def error(event: str, **fields: object) -> None:
    logger.error(line(event, **fields))


def to_stdout(level: str) -> None:
    """Write lines of this level (one of LEVEL_NAMES) and above to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("level=%(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(_LEVELS[level])
    # What libraries have to say goes the same way. That a request waits for a thread is no news.
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
