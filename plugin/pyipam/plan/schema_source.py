"""Which schema runs: the mounted one, the remembered one, or the built-in default.

The mounted file is opened once, while the process still may read every file, and read again
through that descriptor: an edit in place shows there, a file put in its place by rename does not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pyipam.files import replace_file
from pyipam.plan.schema import SchemaError, read_schema
from pyipam.plan.scope_tree import ScopeTree

# The file in the state folder that holds the schema mounted last.
REMEMBERED_NAME = "schema.json"
_BYTE_ORDER_MARK = "\ufeff"
MAXIMUM_SIZE = 16 * 1024 * 1024

Origin = Literal["mount", "remembered", "default"]


@dataclass(frozen=True)
class SchemaInForce:
    """What runs. `errors` are those of the mounted file; with `new_pools_refused`, nothing can be
    drawn until they are mended, otherwise the scopes of before stay in force. `warnings` are for
    the operator to act on."""

    origin: Origin
    tree: ScopeTree
    errors: tuple[SchemaError, ...] = ()
    new_pools_refused: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stamp:
    """What changes when the content of a file changes."""

    modified: int
    size: int


class MountedFile:
    """The file that the operator mounted; nothing, when the mount is /dev/null."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._failure: OSError | None = None
        self._seen: _Stamp | None = None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            # What cannot be read is said as what is wrong in it is; it stops nothing.
            self._failure = error
            return
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def stamp(self) -> _Stamp | None:
        """Compared with a former one: whether the content may have changed. The former one, where
        nobody can look."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                status = os.fstat(self._descriptor)
                self._seen = _Stamp(status.st_mtime_ns, status.st_size)
        return self._seen

    def read(self) -> str:
        """The content; empty where nothing is mounted. Raises UnicodeDecodeError or OSError."""
        if self._failure is not None:
            raise self._failure
        if self._descriptor is None:
            return ""
        return os.pread(self._descriptor, MAXIMUM_SIZE + 1, 0).decode()

    def was_replaced(self) -> bool:
        """Whether the host has another file at this place by now, which cannot be read here."""
        if self._descriptor is None:
            return False
        try:
            return os.fstat(self._descriptor).st_nlink == 0 or _is_marked_deleted(self.path)
        except OSError:
            return False


class SchemaSource:
    """Finds the schema that runs, at the start and after each change of the mounted file."""

    def __init__(self, mounted: MountedFile, remembered: Path, default: Path) -> None:
        self._mounted = mounted
        self._remembered = remembered
        self._default = default
        self._not_remembered: str | None = None
        self._stamp = mounted.stamp()
        self._pending: _Stamp | None = None

    def start(self) -> SchemaInForce:
        """The schema to start with. A bad one stops nothing: see SchemaInForce."""
        text, problem = self._read_mounted()
        if problem is None and not text.strip():
            return self._fallback()
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            self._remember(text)
            return SchemaInForce("mount", result, warnings=self._warnings())
        return SchemaInForce("mount", self._fallback().tree, tuple(result), True, self._warnings())

    def changed(self, current: SchemaInForce) -> SchemaInForce | None:
        """What runs from now on, or None when nothing has changed since the last call.

        A new content counts only when it was the same at two calls: an editor may be in the
        middle of writing it.
        """
        stamp = self._mounted.stamp()
        if stamp != self._stamp and stamp != self._pending:
            self._pending = stamp
            return None
        if stamp == self._stamp:
            warnings = self._warnings()
            return None if warnings == current.warnings else replace(current, warnings=warnings)
        self._stamp, self._pending = stamp, None
        return self._after_edit(current)

    def _after_edit(self, current: SchemaInForce) -> SchemaInForce:
        text, problem = self._read_mounted()
        if problem is None and not text.strip():
            problem = SchemaError("$", "the file is empty")
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            self._remember(text)
            return SchemaInForce("mount", result, warnings=self._warnings())
        return replace(current, errors=tuple(result), warnings=self._warnings())

    def _remember(self, text: str) -> None:
        content = text.encode()
        self._not_remembered = None
        try:
            if not self._remembered.exists() or self._remembered.read_bytes() != content:
                replace_file(self._remembered, [content])
        except OSError as error:
            self._not_remembered = error.strerror

    def _read_mounted(self) -> tuple[str, SchemaError | None]:
        return _read(self._mounted.read)

    def _fallback(self) -> SchemaInForce:
        origin: Origin = "remembered" if self._remembered.exists() else "default"
        path = self._remembered if origin == "remembered" else self._default
        text, problem = _read(lambda: path.read_text("utf-8"))
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            return SchemaInForce(origin, result)
        return SchemaInForce(origin, ScopeTree(), tuple(result), True)

    def _warnings(self) -> tuple[str, ...]:
        warnings = []
        if self._not_remembered is not None:
            warnings.append(
                f"the schema could not be remembered in {self._remembered} "
                f"({self._not_remembered}): without its mount, which an upgrade of the plugin "
                "drops, another one would run. Make room there, and enable the plugin again"
            )
        if self._mounted.was_replaced():
            warnings.append(
                "the schema file was replaced by another one on the host, which cannot be seen "
                "through the mount: what was mounted stays in force. Disable and enable the "
                "plugin to read the new file, and edit it in place (not by rename) from then on"
            )
        return tuple(warnings)


def _read(read: Callable[[], str]) -> tuple[str, SchemaError | None]:
    try:
        text = read()
    except UnicodeDecodeError as error:
        return "", SchemaError("$", f"this is no UTF-8: byte {error.start} cannot be read")
    except OSError as error:
        return "", SchemaError("$", f"the file cannot be read: {error.strerror}")
    if len(text) > MAXIMUM_SIZE:
        return "", SchemaError("$", f"the file is larger than {MAXIMUM_SIZE} bytes")
    return text.removeprefix(_BYTE_ORDER_MARK), None


def _is_marked_deleted(path: Path) -> bool:
    # proc(5): the root of a mount whose source was unlinked ends in //deleted.
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        fields = line.split(" ")
        if fields[4] == str(path):
            return fields[3].endswith("//deleted")
    return False
