"""Chroots that hold a Docker engine or a browser each, made once with mmdebstrap and kept in the
cache.

Nothing is installed on the host: Debian's docker.io starts an engine where it is installed.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.engine.releases import Release
from tests.support.engine.unavailable import Unavailable

Say = Callable[[str], None]

_RECIPE_FILE = ".pyipam-recipe"
_PERL_OF_MMDEBSTRAP = ["perl", "-MPod::Usage", "-MDigest::SHA", "-MMath::BigInt", "-e", "1"]
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def cache_directory() -> Path:
    """The directory for everything that is expensive to create."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pyipam"


def ensure_chroot(release: Release, say: Say) -> Path:
    """The chroot of the release, built now if the cache does not hold it."""
    engines = cache_directory() / "engines"
    engines.mkdir(parents=True, exist_ok=True)
    chroot = engines / release.version
    with _locked(engines / f"{release.version}.lock", say):
        if not _is_current(chroot, release):
            _build(chroot, release, say)
    return chroot


def _recipe(release: Release) -> str:
    parts = (release.suite, *sorted(release.packages), *_LEFT_OUT)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_current(chroot: Path, release: Release) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return (chroot / _RECIPE_FILE).read_text() == _recipe(release)
    return False


def _build(chroot: Path, release: Release, say: Say) -> None:
    building = chroot.with_name(f"{chroot.name}.building")
    for old in (chroot, building):
        shutil.rmtree(old, ignore_errors=True)
    tools = _mmdebstrap(building.with_name("tools"), say)
    say(
        f"making the chroot of {release.version} from Debian {release.suite} (once; about a minute)"
    )
    try:
        _run_mmdebstrap(tools, building, release, say)
        (building / _RECIPE_FILE).write_text(_recipe(release))
        building.rename(chroot)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _run_mmdebstrap(tools: Path, target: Path, release: Release, say: Say) -> None:
    # In its own namespaces, so that an interrupted mmdebstrap leaves no mounts and no processes.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    command += ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    command += [f"--include={','.join(release.packages)}", "--dpkgopt=force-unsafe-io"]
    # On a mirror that is not updated, the Release file of sid expires within days.
    command += ['--aptopt=Acquire::Check-Valid-Until "false"']
    command += [f"--aptopt={setting}" for setting in _proxies()]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    command += [release.suite, str(target), *_mirror()]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    _checked(
        command,
        f"the chroot of {release.version} (Debian {release.suite}) could not be made",
        environment=environment,
        say=say,
    )


def ensure_program(name: str, package: str, say: Say) -> Path:
    """A program from a package of this machine's release, unpacked in the cache, not installed."""
    tools = cache_directory() / "engines" / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    with _locked(tools.with_name("tools.lock"), say):
        return _unpacked_program(tools, name, package, say)


def _unpacked_program(tools: Path, name: str, package: str, say: Say) -> Path:
    program = tools / "usr" / "bin" / name
    if not program.exists():
        say(f"fetching {package}")
        _apt(["download", package], tools, say)
        for archive in tools.glob(f"{package}_*.deb"):
            _checked(["dpkg", "-x", str(archive), str(tools)], f"dpkg cannot unpack {package}")
            archive.unlink()
    return program


def _mmdebstrap(tools: Path, say: Say) -> Path:
    """The directory of the program mmdebstrap, unpacked from its package."""
    tools.mkdir(exist_ok=True)
    with _locked(tools.with_name("tools.lock"), say):
        programs = _unpacked_program(tools, "mmdebstrap", "mmdebstrap", say).parent
        if subprocess.run(_PERL_OF_MMDEBSTRAP, capture_output=True, check=False).returncode:
            say("installing perl, which mmdebstrap is written in")
            _apt(["install", "-y", "--no-install-recommends", "perl"], tools, say)
    return programs


def _apt(arguments: list[str], directory: Path, say: Say) -> None:
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    command = [*quiet, "-o", "APT::Sandbox::User=root", *arguments]
    what = f"apt-get {' '.join(arguments)} failed"
    if not shutil.which("apt-get"):
        raise Unavailable("apt-get is not here: the private engines come from Debian packages")
    first = subprocess.run(command, cwd=directory, capture_output=True, check=False)
    if first.returncode:
        say("apt-get update")
        _checked([*quiet, "update"], "apt-get update failed")
        _checked(command, what, directory=directory)


def _mirror() -> list[str]:
    """The Debian mirror that apt uses; empty (mmdebstrap chooses) on other systems."""
    listing = _output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)"],
    )
    for line in listing.splitlines():
        uri, _, rest = line.partition(" ")
        if rest == "Debian Debian":
            return [uri]
    return []


def _proxies() -> list[str]:
    lines = _output(["apt-config", "dump"]).splitlines()
    return [
        line.rstrip(";")
        for line in lines
        if line.lower().startswith(("acquire::http::proxy", "acquire::https::proxy"))
        and not line.endswith('"";')
    ]


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _checked(
    command: list[str],
    failure: str,
    *,
    environment: dict[str, str] | None = None,
    directory: Path | None = None,
    say: Say | None = None,
) -> None:
    """Run the command. Raises Unavailable if it fails. `say` gets the progress that it reports."""
    last: deque[str] = deque(maxlen=8)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=directory,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            last.append(line.rstrip())
            if say and line.startswith("I: "):
                say(f"  {line.removeprefix('I: ').rstrip()}")
    if process.returncode:
        output = "\n".join(last)
        raise Unavailable(f"{failure}; the last lines of its output:\n{output}")


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for the process that holds {path.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
