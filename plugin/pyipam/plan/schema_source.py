"""Which schema is in force: the mounted one, the remembered one, or the built-in one.

The mounted file is opened once, while the process may still read every file, and is read again
through that descriptor. So an edit in place is seen, but a file that replaces it by rename is not.
docs/schema.md, "When something is wrong", says what is in force when.
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
from pyipam.plan.docker_ranges import warnings_about_docker_ranges
from pyipam.plan.object_rules import DocumentError
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree

# The file in the state folder that holds the last good schema that was mounted.
REMEMBERED_NAME = "schema.json"
MAX_SIZE_BYTES = 16 * 1024 * 1024
_BYTE_ORDER_MARK = "\ufeff"

Origin = Literal["mount", "remembered", "default"]
_IN_WORDS: dict[Origin, str] = {
    "mount": "the file of SCHEMA_PATH",
    "remembered": "the one that was used last",
    "default": "the built-in one",
}


@dataclass(frozen=True)
class SchemaInForce:
    """The schema in force, and what is wrong with the one that should be.

    `errors` are those of the mounted file. With `new_pools_refused`, no pool is given out until
    they are fixed; otherwise the scopes from before the last edit are in force. `warnings` are
    sentences for the operator to act on.
    """

    origin: Origin
    tree: ScopeTree
    errors: tuple[DocumentError, ...] = ()
    new_pools_refused: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def origin_in_words(self) -> str:
        """Where it is from, and why it is not the mounted one."""
        words = _IN_WORDS[self.origin]
        if self.origin == "mount":
            return f"{words}, as it was before its errors" if self.errors else words
        why = "the schema has errors" if self.errors else "SCHEMA_PATH names no file"
        return f"{words}, as {why}"


@dataclass(frozen=True)
class _Stamp:
    """What changes when the content of a file changes: its time, in nanoseconds, and its size."""

    modified: int
    size: int


class MountedFile:
    """The file that the operator mounted. Anything but a regular file, such as /dev/null, counts as
    not mounted."""

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
            # Raised by `read`, to be shown like an error in the schema.
            self._failure = error
            return
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def stamp(self) -> _Stamp | None:
        """If this differs from an earlier one, the content may have changed.

        The earlier one is returned again if the file cannot be looked at.
        """
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                status = os.fstat(self._descriptor)
                self._seen = _Stamp(status.st_mtime_ns, status.st_size)
        return self._seen

    def read(self) -> str:
        """The content; empty if nothing is mounted. Raises UnicodeDecodeError or OSError."""
        if self._failure is not None:
            raise self._failure
        if self._descriptor is None:
            return ""
        return os.pread(self._descriptor, MAX_SIZE_BYTES + 1, 0).decode()

    def was_replaced(self) -> bool:
        """Whether the host has replaced the file by another one, which cannot be read here."""
        if self._descriptor is None:
            return False
        try:
            return os.fstat(self._descriptor).st_nlink == 0 or _is_marked_deleted(self.path)
        except OSError:
            return False


class SchemaSource:
    """Finds the schema in force, at the start and after each change of the mounted file.

    `remembered` is where the last good mounted schema is kept, `default` the built-in schema.
    """

    def __init__(self, mounted: MountedFile, remembered: Path, default: Path) -> None:
        self._mounted = mounted
        self._remembered = remembered
        self._default = default
        self._not_remembered: str | None = None
        # What was found in the scopes last looked at, which is asked for again and again.
        self._warned_about: ScopeTree | None = None
        self._about_docker: tuple[str, ...] = ()
        self._stamp = mounted.stamp()
        self._pending: _Stamp | None = None

    def start(self) -> SchemaInForce:
        """The schema to start with. If it is wrong, SchemaInForce says so; nothing is raised."""
        text, problem = self._read_mounted()
        if problem is None and not text.strip():
            return self._fallback()
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            self._remember(text)
            return SchemaInForce("mount", result, warnings=self._warnings(result))
        used = self._fallback()
        return replace(
            used,
            errors=tuple(result),
            new_pools_refused=True,
            warnings=self._warnings(used.tree),
        )

    def changed(self, current: SchemaInForce) -> SchemaInForce | None:
        """What is in force from now on, or None if nothing has changed since the last call.

        New content counts only if two calls in a row have seen it, because an editor may be in the
        middle of writing it.
        """
        stamp = self._mounted.stamp()
        if stamp != self._stamp and stamp != self._pending:
            self._pending = stamp
            return None
        if stamp == self._stamp:
            warnings = self._warnings(current.tree)
            return None if warnings == current.warnings else replace(current, warnings=warnings)
        self._stamp, self._pending = stamp, None
        return self._after_edit(current)

    def _after_edit(self, current: SchemaInForce) -> SchemaInForce:
        text, problem = self._read_mounted()
        if problem is None and not text.strip():
            problem = DocumentError("$", "the file is empty")
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            self._remember(text)
            return SchemaInForce("mount", result, warnings=self._warnings(result))
        return replace(current, errors=tuple(result), warnings=self._warnings(current.tree))

    def _remember(self, text: str) -> None:
        content = text.encode()
        self._not_remembered = None
        try:
            if not self._remembered.exists() or self._remembered.read_bytes() != content:
                replace_file(self._remembered, [content])
        except OSError as error:
            self._not_remembered = error.strerror

    def _read_mounted(self) -> tuple[str, DocumentError | None]:
        return _read(self._mounted.read)

    def _fallback(self) -> SchemaInForce:
        origin: Origin = "remembered" if self._remembered.exists() else "default"
        path = self._remembered if origin == "remembered" else self._default
        text, problem = _read(lambda: path.read_text("utf-8"))
        result = [problem] if problem else read_schema(text)
        if isinstance(result, ScopeTree):
            return SchemaInForce(origin, result, warnings=self._warnings(result))
        return SchemaInForce(origin, ScopeTree(), tuple(result), True)

    def _warnings(self, tree: ScopeTree) -> tuple[str, ...]:
        if tree is not self._warned_about:
            self._warned_about = tree
            self._about_docker = tuple(warnings_about_docker_ranges(tree))
        warnings = [*self._about_docker]
        if self._not_remembered is not None:
            warnings.append(
                f"the schema could not be remembered in {self._remembered} "
                f"({self._not_remembered}): after an upgrade of the plugin, which drops the mount, "
                "another schema would be in force. Make room there, and enable the plugin again"
            )
        if self._mounted.was_replaced():
            warnings.append(
                "the schema file was replaced by another one on the host, which cannot be seen "
                "through the mount: the mounted one stays in force. Disable and enable the plugin "
                "to read the new file, and edit it in place (not by rename) after that"
            )
        return tuple(warnings)


def _read(read: Callable[[], str]) -> tuple[str, DocumentError | None]:
    try:
        text = read()
    except UnicodeDecodeError as error:
        return "", DocumentError("$", f"this is not valid UTF-8: byte {error.start} cannot be read")
    except OSError as error:
        return "", DocumentError("$", f"the file cannot be read: {error.strerror}")
    if len(text) > MAX_SIZE_BYTES:
        return "", DocumentError("$", f"the file is larger than {MAX_SIZE_BYTES} bytes")
    return text.removeprefix(_BYTE_ORDER_MARK), None


def _is_marked_deleted(path: Path) -> bool:
    # The root of a mount whose source was unlinked ends in //deleted (proc_pid_mountinfo(5)).
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        fields = line.split(" ")
        if fields[4] == str(path):
            return fields[3].endswith("//deleted")
    return False
