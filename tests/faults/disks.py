"""Small real file systems for the state of a program, to be filled, broken and repaired.

Each is mounted in its own mount namespace, which ends with the test: it is not visible outside, and
nothing is left behind.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Kind = Literal["tmpfs", "ext4"]

_TMPFS_SIZE = 1 << 20
_IMAGE_SIZE = 24 << 20
_ROOMY = "64m"
_PAGE = 4096

# linux/fs.h: FS_IOC_SHUTDOWN, once XFS_IOC_GOINGDOWN; 2 is "without writing anything more".
_SHUTDOWN = 0x8004587D
_AT_ONCE = struct.pack("I", 2)


class Disk:
    """A file system at a folder, for processes that are started with the command `way_in`."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._folder = folder
        self._kind = kind
        self._device = folder.with_name("device")
        self._image = self._device / "image"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; read end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n", "no mount namespace can be made here"
        self.way_in = ["nsenter", f"--target={self._holder.pid}", "--mount", "--"]

    def close(self) -> None:
        """Unmount everything. No process may be using it."""
        self._holder.communicate()

    @property
    def inside(self) -> Path:
        """The folder, seen from outside."""
        return self._seen(self._folder)

    # Room

    def room(self) -> int:
        """How many bytes are free."""
        left = os.statvfs(self.inside)
        return left.f_bavail * left.f_frsize

    def fill(self) -> None:
        """Leave no room in the file system."""
        with suppress(OSError), (self.inside / "filler").open("ab", buffering=0) as file:
            for size in (_PAGE, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass
            os.fsync(file.fileno())

    def make_room(self) -> None:
        """Undo `fill`."""
        (self.inside / "filler").unlink()

    # The device under the file system

    def fail_syncs(self) -> None:
        """Let the device have no room for blocks that are free now. The file system does not know
        that: it accepts writes to them, and fails to sync them."""
        self.run("fstrim", str(self._folder))
        used = os.statvfs(self._seen(self._device))
        size = (used.f_blocks - used.f_bfree) * used.f_frsize
        self.run("mount", "-o", f"remount,size={size}", str(self._device))

    def repair_device(self) -> None:
        """Undo `fail_syncs`."""
        self.run("mount", "-o", f"remount,size={_ROOMY}", str(self._device))

    def cut_power(self) -> None:
        """Lose what was not synced, and let nothing more be written."""
        descriptor = os.open(self.inside, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _AT_ONCE)
        finally:
            os.close(descriptor)

    def mount_again(self) -> None:
        """Check the file system and mount it, as a host does when it comes back.

        Only what is on the device can be read then.
        """
        self.run("umount", str(self._folder))
        self.run("fsck.ext4", "-p", str(self._image), codes=(0, 1))
        self._mount_image()

    # Refusing to be changed

    def turn_read_only(self) -> None:
        """Let ext4 react to an error: it is read-only, even for open files, until `mount_again`."""
        device = os.stat(self.inside).st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def remount(self, mode: Literal["ro", "rw"]) -> None:
        """Make it read-only, or writable again. Nobody may have a file open for writing."""
        self.run("mount", "-o", f"remount,{mode}", str(self._folder))

    def change_attribute(self, change: Literal["+i", "-i", "+a", "-a"], *paths: Path) -> None:
        """Set or clear an attribute: files with +i cannot be changed, and nothing in a folder with
        +a can be renamed."""
        self.run("chattr", change, *(str(self._folder / path) for path in paths))

    def run(self, *command: str, codes: tuple[int, ...] = (0,)) -> None:
        """Run a command that sees the file system. It must exit with one of the codes."""
        done = subprocess.run(
            [*self.way_in, *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode in codes, f"{command} ended with {done.returncode}: {done.stderr}"

    def make(self) -> None:
        """Mount a new file system."""
        self._folder.mkdir(exist_ok=True)
        if self._kind == "tmpfs":
            self._mount_tmpfs(str(_TMPFS_SIZE), self._folder)
        else:
            self._device.mkdir()
            self._mount_tmpfs(_ROOMY, self._device)
            self._write_image()
            self._mount_image()

    def _mount_tmpfs(self, size: str, folder: Path) -> None:
        self.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder))

    def _write_image(self) -> None:
        image = self._seen(self._image)
        with image.open("wb") as file:
            file.truncate(_IMAGE_SIZE)
        # Without extents: while one grows, Linux 6.18 has reported success for a sync although the
        # device had refused the write.
        now = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
        options = ["-q", "-O^extents,^64bit", "-m0", f"-b{_PAGE}", "-E", now]
        self.run("mkfs.ext4", *options, str(self._image))
        # Every block gets room on the device, even if it holds zeros (see `fail_syncs`).
        image.write_bytes(image.read_bytes())

    def _mount_image(self) -> None:
        # The loop device disappears when the file system is unmounted.
        self.run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._folder))

    def _seen(self, path: Path) -> Path:
        return Path(f"/proc/{self._holder.pid}/root") / path.relative_to("/")


@contextmanager
def disk(folder: Path, kind: Kind) -> Iterator[Disk]:
    """A file system that exists while the block runs."""
    made = Disk(folder, kind)
    try:
        made.make()
        yield made
    finally:
        made.close()
