"""The private engines of the test support: nothing of one outlives the process that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.engine import homes
from tests.support.engine.chroots import Say, cache_directory
from tests.support.engine.private_engine import PrivateEngine

_START = """
import sys, time
from tests.support.engine.private_engine import PrivateEngine
with PrivateEngine(sys.argv[1], lambda text: None) as engine:
    print(engine.home, flush=True)
    time.sleep(600)
"""
_ROOT = Path(__file__).parents[2]


def _start_elsewhere(version: str) -> tuple["subprocess.Popen[str]", Path]:
    """A process that has started an engine, and the directory of that."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _START, version], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    )
    assert owner.stdout
    return owner, Path(owner.stdout.readline().strip())


def _processes_of(home: Path) -> list[str]:
    """The commands of running processes that belong to the engine with this directory."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            command = Path("/proc", entry, "cmdline").read_bytes().decode(errors="replace")
        except (OSError, NotADirectoryError):
            continue
        if home.name in command:
            found.append(command)
    return found


def _mounts_of(home: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if home.name in line]


def _cgroups_of(home: Path) -> list[str]:
    # Those of other engines may go meanwhile.
    found = (path for path, _, _ in os.walk("/sys/fs/cgroup"))
    return [path for path in found if path.endswith(f"/pyipam-{home.name}")]


def test_a_removed_engine_leaves_no_process_mount_cgroup_or_file(version: str, say: Say) -> None:
    with PrivateEngine(version, say) as engine:
        home = engine.home
        assert _processes_of(home)
        assert _mounts_of(home) == []

    assert _processes_of(home) == []
    assert _cgroups_of(home) == []
    assert not home.exists()


def test_an_engine_ends_with_the_process_that_started_it_and_the_next_run_removes_its_files(
    version: str, say: Say
) -> None:
    owner, home = _start_elsewhere(version)
    assert _processes_of(home)

    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    end = time.monotonic() + 20
    while _processes_of(home) and time.monotonic() < end:
        time.sleep(0.05)

    assert _processes_of(home) == []
    homes.remove_abandoned(say)
    assert not home.exists()
    assert _cgroups_of(home) == []


def test_an_engine_in_use_elsewhere_is_not_considered_abandoned(version: str, say: Say) -> None:
    with PrivateEngine(version, say) as engine:
        homes.remove_abandoned(say)

        assert engine.must("version", "--format", "{{.Server.Version}}").startswith(version)


def test_an_engine_writes_nothing_to_its_cached_chroot(version: str, say: Say) -> None:
    chroot = cache_directory() / "engines" / version
    with PrivateEngine(version, say) as engine:
        (engine.root / "etc" / "docker" / "plugins").mkdir(parents=True, exist_ok=True)

        assert engine.run("touch", "/etc/docker/plugins/mark.spec").code == 0
        assert not (chroot / "etc" / "docker" / "plugins").exists()
