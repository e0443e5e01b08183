"""The log that commits go to: one journal after another."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence

from pyipam.store.records import Change
from pyipam.store.tinydb.journal import Journal


class CommitLog:
    """The journal in use, and the batches that were committed since the last checkpoint.

    A journal is lost once a write or a sync of it has failed: it is unknown how much of it is on
    the disk, so it is never appended to again. Commits fail until a checkpoint has created another.

    One lock guards everything. Each method takes it unless its docstring says otherwise. Whoever
    holds it may be waiting for a sync.
    """

    def __init__(self, checkpoint_size: int) -> None:
        """A log without a journal. A checkpoint is due each time that the journal in use has grown
        by `checkpoint_size` bytes."""
        self._lock = threading.Lock()
        self._checkpoint_size = checkpoint_size
        self._checkpoint_at = checkpoint_size
        # None until the folder is loaded, while the journal is lost, and after `close`.
        self._journal: Journal | None = None
        # The last journal that was in use, and the last one that a file on the disk may name.
        self._number = 0
        self._named_number = 0
        # The number of the last batch.
        self._sequence = 0
        self._prewritten: Sequence[Change] | None = None
        # In order: the batches that no checkpoint has taken over.
        self._batches: list[Sequence[Change]] = []

    @property
    def accepts_commits(self) -> bool:
        """Whether a journal is in use. Read without the lock, which a commit holds for as long as
        its sync takes."""
        return self._journal is not None

    @property
    def next_number(self) -> int:
        """The number of the next journal: one that no file names. To be read without the lock by
        the only thread that runs a checkpoint."""
        return max(self._number, self._named_number) + 1

    def resume(self, journal: Journal | None, number: int, sequence: int) -> None:
        """Continue with journal `number`, whose last batch is `sequence`. `journal` is None if it
        could not be opened, and so is lost."""
        with self._lock:
            self._journal, self._number, self._sequence = journal, number, sequence

    def is_lost(self) -> bool:
        """Whether the journal is lost."""
        # With the lock: a checkpoint has no journal in use while it switches to the next one.
        with self._lock:
            return self._journal is None

    def is_at_rest(self) -> bool:
        """Whether a journal is in use, and checkpoints have taken over every batch."""
        with self._lock:
            return self._journal is not None and not self._batches

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Write the line of the next batch, and let the disk begin with it. It counts only if
        `append` is called with equal changes."""
        with self._lock:
            if self._journal is None:
                return
            try:
                self._drop_prewritten(self._journal)
                self._journal.write(self._sequence + 1, changes)
                self._journal.start_writeback()
            except OSError:
                self._lose_journal()
            else:
                self._prewritten = changes

    def append(self, changes: Sequence[Change]) -> bool:
        """Write a batch, unless it was prewritten, and sync it. Returns whether a checkpoint has
        become due. Raises OSError: then the batch does not count, and the journal is lost."""
        with self._lock:
            if self._journal is None:
                raise OSError(errno.EIO, "the journal could not be written a moment ago")
            try:
                if self._prewritten is None or self._prewritten != changes:
                    self._drop_prewritten(self._journal)
                    self._journal.write(self._sequence + 1, changes)
                self._journal.sync()
            except OSError:
                self._lose_journal()
                raise
            self._prewritten = None
            self._sequence += 1
            self._batches.append(changes)
            return self._has_grown(self._journal)

    def switch_to(self, journal: Journal) -> tuple[int, list[Sequence[Change]]]:
        """End the journal in use with the name of this new one, and continue in that. If the
        journal is lost, nothing names the new one yet, so it is not used before `use`.

        Returns the number of the last batch before the new journal, and the batches since the last
        switch, in order. Raises OSError: then the journal in use is lost, unless not even the
        header of the new one could be written, which leaves it as it was.
        """
        with self._lock:
            journal.write_header(self._sequence)
            self._named_number = journal.number
            if self._journal is not None:
                self._end_journal(journal.number)
                self._start(journal)
            batches, self._batches = self._batches, []
            return self._sequence, batches

    def use(self, journal: Journal) -> None:
        """Continue in this journal, which the manifest now names. Nothing changes if it has been in
        use since `switch_to`, even if it has been lost again."""
        with self._lock:
            if self._number != journal.number:
                self._start(journal)

    def discard(self, journal: Journal) -> None:
        """Close a new journal whose checkpoint has failed, unless it is or was in use."""
        with self._lock:
            if self._number != journal.number:
                journal.close()

    def close(self) -> None:
        """Close the journal. Later commits fail."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    # Everything below needs the lock.

    def _has_grown(self, journal: Journal) -> bool:
        if journal.size < self._checkpoint_at:
            return False
        self._checkpoint_at = journal.size + self._checkpoint_size
        return True

    def _drop_prewritten(self, journal: Journal) -> None:
        if self._prewritten is not None:
            self._prewritten = None
            journal.cut_unsynced()

    def _lose_journal(self) -> None:
        lost, self._journal, self._prewritten = self._journal, None, None
        assert lost is not None
        lost.close()

    def _end_journal(self, next_number: int) -> None:
        journal, self._journal = self._journal, None
        assert journal is not None
        try:
            self._drop_prewritten(journal)
            journal.write_next(next_number)
        finally:
            journal.close()

    def _start(self, journal: Journal) -> None:
        self._journal, self._number = journal, journal.number
        self._checkpoint_at = self._checkpoint_size
