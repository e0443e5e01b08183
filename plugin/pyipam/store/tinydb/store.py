"""State in a folder of TinyDB files, with a journal in front of them.

A commit appends one line to the journal. A checkpoint brings what has changed since the last one
into ordinary TinyDB files and begins a new journal. A file is never changed in place: a new one is
merged from its lines and the changes, written beside it, and renamed. So only the changes are kept
in memory. Once the store is closed, the files contain everything, and open with plain TinyDB: a
table for each CIDR, a document for each pool and lease. See "The stores" in docs/architecture.md.

    manifest.json          the format, the files that must be there, the first journal
    scopes/*.json          a TinyDB file for each scope (scopes/all.json in the single layout)
    drivers.json           the driver names and their epochs
    nodes.json             what operators said of nodes, if they did
    journal-NNNNNNNN.log   what was committed since the last checkpoint
    lock                   locked by the process that has the folder open
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from pyipam import log
from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Record
from pyipam.store.tinydb.checkpoint import Checkpointer, Pace, Rests, without_rests
from pyipam.store.tinydb.commit_log import CommitLog
from pyipam.store.tinydb.journal import NO_ROOM, Journal, journal_path
from pyipam.store.tinydb.layout import Layout
from pyipam.store.tinydb.loading import LoadedFolder, load_folder

CHECKPOINT_SIZE_BYTES = 4 * 1024 * 1024


class TinyDbStore:
    """The store of one host. See the module for its files.

    The store itself has no lock: its commit log and its checkpointer have one each.
    """

    shared = False

    def __init__(
        self,
        folder: Path,
        layout: Layout = "scope",
        checkpoint_size: int = CHECKPOINT_SIZE_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the folder, and create it if it is missing. A checkpoint is due whenever the journal
        has grown by `checkpoint_size` bytes, and rests by `sleep` in the background.

        Raises Unavailable if another process has the folder open, or if it cannot be used.
        """
        self._folder = folder
        self._layout = layout
        self._checkpoint_size = checkpoint_size
        self._commits = CommitLog(checkpoint_size)
        self._checkpoints = Checkpointer(folder, layout, self._commits)
        self._checkpoint_due = threading.Event()
        self._rests = Rests(lambda: not self._is_closing and self._commits.accepts_commits, sleep)
        self._problem: str | None = None
        self._is_loaded = False
        self._is_closing = False
        self._lock_descriptor = _lock_folder(folder)

    def load(self) -> Iterator[Record]:
        """Every stored record, as it is read. Nothing can be committed before the last one.

        Raises StateCorrupted, which names the file and the byte, or Unavailable if the disk fails.
        """
        try:
            loaded = yield from load_folder(self._folder, self._layout)
            if loaded is not None:
                self._resume(loaded)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._checkpoints.open(loaded)
        self._is_loaded = True
        if loaded is None:
            self.checkpoint()

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Write the journal's line for the next commit, and let the disk begin with it."""
        if not self._checkpoints.must_raise_format(changes):
            self._commits.prewrite(changes)

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Append the changes to the journal as one line. Raises StoreFailure. A disk cannot be
        interrupted, so `within` has no effect."""
        if not self._is_loaded:
            raise StoreFailure(
                f"nothing can be stored in {self._folder} before it has been read completely"
            )
        try:
            if self._commits.is_lost():
                # Without room: the space that the disk has is left to the files.
                self._checkpoints.run(room=0)
            if self._checkpoints.must_raise_format(changes):
                self._checkpoints.raise_format(self._checkpoint_size)
            if self._commits.append(changes):
                self._checkpoint_due.set()
        except StateCorrupted as error:
            raise StoreFailure(f"the change could not be stored: {error}") from error
        except OSError as error:
            raise StoreFailure(
                f"the change could not be stored in {self._folder} ({error.strerror}); nothing "
                "has been done. Free space there, or repair the disk, and try again"
            ) from error

    def commit_in_parts(
        self, parts: Sequence[Sequence[Change]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> None:
        """Commit all parts at once."""
        self.commit([*chain.from_iterable(parts)], within)

    def take_remote_changes(self) -> Sequence[Change]:
        """Nothing: there are no other nodes."""
        return ()

    def await_remote_changes(self, within: float) -> bool:
        """False: there are no other nodes."""
        return False

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """Nothing: no nodes share it."""
        return {}

    def pools_in_aggregates(self) -> Mapping[str, int]:
        """Nothing: no nodes share it."""
        return {}

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> Sequence[Record]:
        """Nothing: there are no other nodes."""
        return ()

    def problem(self) -> str | None:
        """What the last checkpoint found corrupted, if anything. A full or broken disk is noticed
        only by the next commit."""
        return self._problem

    def run_background_work(self, stopping: threading.Event) -> None:
        """Run checkpoints when they are due, until the event is set; that is noticed when the next
        checkpoint is due, or at `close`."""
        while not stopping.is_set():
            self._checkpoint_due.wait()
            if not stopping.is_set():
                self.checkpoint_if_due(self._rests.between)

    def checkpoint_if_due(self, pace: Pace = without_rests) -> None:
        """Run a checkpoint if the journal has grown enough since the last one."""
        if self._checkpoint_due.is_set():
            self._checkpoint_due.clear()
            self.checkpoint(pace)

    def checkpoint(self, pace: Pace = without_rests) -> None:
        """Bring everything committed into the TinyDB files, while commits continue. If that fails,
        commits continue all the same, and the next checkpoint tries again."""
        try:
            self._checkpoints.run(self._checkpoint_size, pace)
            self._problem = None
        except OSError as error:
            log.warning("checkpoint failed", folder=self._folder, reason=error.strerror)
        except StateCorrupted as error:
            self._problem = str(error)
            log.error("checkpoint failed", folder=self._folder, reason=error)

    def close(self) -> None:
        """Bring everything committed into the TinyDB files, and unlock the folder."""
        self._is_closing = True
        self._checkpoint_due.set()
        # A state that could not be read completely is not overwritten with the part that could.
        if self._is_loaded and not self._checkpoints.is_complete():
            self.checkpoint()
        # After the folder is unlocked, another process may change it.
        self._checkpoints.close()
        self._is_loaded = False
        self._commits.close()
        os.close(self._lock_descriptor)

    def _resume(self, loaded: LoadedFolder) -> None:
        """Continue with the last journal. Raises OSError."""
        self._commits.resume(self._reopen_journal(loaded), loaded.journal, loaded.sequence)
        if loaded.is_outdated:
            self._checkpoint_due.set()

    def _reopen_journal(self, loaded: LoadedFolder) -> Journal | None:
        """The journal in use. None if the disk is too full to sync it: the next commit then begins
        with a checkpoint, as after any journal that was lost."""
        path = journal_path(self._folder, loaded.journal)
        try:
            return Journal.reopen(path, loaded.journal, loaded.journal_size, self._checkpoint_size)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return None


def _lock_folder(folder: Path) -> int:
    """Create the folder if it is missing, and lock it for this process. Returns the descriptor
    that holds the lock. Raises Unavailable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unavailable(
            f"the state folder {folder} is in use by another process; stop it first (a plugin with "
            "docker plugin disable)"
        ) from None
    return descriptor


def _unusable(folder: Path, error: OSError) -> Unavailable:
    place = f": {error.filename}" if error.filename else ""
    return Unavailable(
        f"the state folder {folder} cannot be used ({error.strerror}{place}); fix that, then "
        "disable and enable the plugin"
    )
