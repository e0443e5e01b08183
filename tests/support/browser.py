"""Debian's chromium, in a chroot in the cache: nothing is installed on the machine."""

from __future__ import annotations

import shlex
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from pyipam.cli.client import Client, Source
from pyipam.cli.page_server import PageServer
from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.private_engine import require_root
from tests.support.engine.releases import Release

_CHROMIUM = Release("chromium", "bookworm", ("chromium", "fonts-dejavu-core"))
# Root may not use chromium's own sandbox; it runs in namespaces, and reads nothing but the page.
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


@contextmanager
def chromium(say: Say) -> Iterator[Browser]:
    """A browser without a window, which ends with the block."""
    require_root()
    chroot = ensure_chroot(_CHROMIUM, say)
    with tempfile.TemporaryDirectory(prefix="pyipam-") as folder:
        program = Path(folder) / "chromium"
        program.write_text(_program(chroot))
        program.chmod(0o755)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=program, chromium_sandbox=False, args=_ARGUMENTS
            )
            try:
                yield browser
            finally:
                browser.close()


@contextmanager
def served_page(socket: Path) -> Iterator[str]:
    """Where the page of a plugin is served while the block lasts, as `pyipam ui` does it."""
    with PageServer(Client(Source(str(socket), socket)), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.link
        finally:
            server.shutdown()
            thread.join()


def show(page: Page, url: str) -> None:
    """Load a place of the page anew, until it is shown."""
    # Away, so that what is seen next is not what was there before.
    page.goto("about:blank")
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()


def _program(chroot: Path) -> str:
    """A script that runs chromium in the chroot, in a mount namespace of its own. It sees the
    temporary folder of this machine, where playwright keeps its profile."""
    mounts = [
        f"mount --rbind /dev {shlex.quote(f'{chroot}/dev')}",
        f"mount -t proc proc {shlex.quote(f'{chroot}/proc')}",
        f"mount --bind {tempfile.gettempdir()} {shlex.quote(f'{chroot}/tmp')}",
        f'TMPDIR=/tmp exec chroot {shlex.quote(str(chroot))} /usr/bin/chromium "$@"',
    ]
    script = shlex.quote(" && ".join(mounts))
    return f'#!/bin/sh\nexec unshare --mount --propagation private sh -c {script} sh "$@"\n'
