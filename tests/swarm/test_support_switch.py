"""The switch of the test support: it is not visible on the host, and does not outlive its owner."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.releases import release_named
from tests.support.switch import Switch

_START = """
import sys, time
from pathlib import Path
from tests.support.switch import Switch
with Switch(Path(sys.argv[1])) as switch:
    print(switch.process, flush=True)
    time.sleep(600)
"""
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chroot(say: Say) -> Path:
    """A chroot that has `ip`."""
    return ensure_chroot(release_named("20.10"), say)


def _interfaces() -> list[str]:
    return sorted(path.name for path in Path("/sys/class/net").iterdir())


def test_a_switch_is_invisible_on_the_host(chroot: Path) -> None:
    before = _interfaces()

    with Switch(chroot) as switch:
        switch.require_vxlan()
        assert _interfaces() == before

    assert not Path("/proc", str(switch.process)).exists()


def test_a_switch_ends_with_the_process_that_created_it(chroot: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _START, str(chroot)], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    )
    assert owner.stdout
    process = Path("/proc", owner.stdout.readline().strip())
    assert process.exists()

    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    end = time.monotonic() + 20
    while process.exists() and time.monotonic() < end:
        time.sleep(0.05)

    assert not process.exists()
