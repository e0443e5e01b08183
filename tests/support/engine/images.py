"""The image of all containers in the tests: Debian's static busybox, without a registry."""

import io
import tarfile
from pathlib import Path

from tests.support.engine.private_engine import PrivateEngine

BUSYBOX = "busybox"
# As pid 1, a plain sleep would ignore SIGTERM, and each `docker stop` would take 10 s.
_SLEEP = 'CMD ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]'
_APPLETS = ("sh", "sleep", "ip", "ping", "cat", "echo", "true", "false", "wget", "nc", "route")


def load_busybox(engine: PrivateEngine) -> None:
    """Import the image `busybox` into the engine."""
    layer = _layer(engine.root / "usr" / "bin" / "busybox")
    engine.must("import", "--change", _SLEEP, "-", BUSYBOX, stdin=layer)


def _layer(binary: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        # Opened first, so that the link in the chroot is followed and not archived.
        with binary.open("rb") as file:
            entry = tar.gettarinfo(arcname="bin/busybox", fileobj=file)
            tar.addfile(entry, file)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()
