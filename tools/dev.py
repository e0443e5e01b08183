"""Run the program on this host as a legacy plugin, and restart it whenever a file changes.

Docker finds it as `--ipam-driver pyipam` through /run/docker/plugins/pyipam.sock. Its state is in
build/dev-state. The settings are taken from the environment, SCHEMA_PATH among them.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pyipam.cli.spec_files import alias_names

_ROOT = Path(__file__).resolve().parents[1]
# The driver's short name gets its own socket beside this one, as in the managed plugin.
_SOCKET = Path("/run/docker/plugins/pyipam-dev.sock")
_STATE = _ROOT / "build" / "dev-state"


def main() -> None:
    """Serve until Ctrl-C."""
    schema = Path(os.environ.get("SCHEMA_PATH") or _ROOT / "schema.json")
    environment = {
        **os.environ,
        "PYIPAM_SOCKET": str(_SOCKET),
        "PYIPAM_STATE": str(_STATE),
        "PYIPAM_SCHEMA": str(schema),
        "PYIPAM_DEFAULT_SCHEMA": str(_ROOT / "schema.json"),
        "PYIPAM_BUILD": str(_ROOT / "build" / "dev-build.json"),
        "PYIPAM_USER": "0",
    }
    try:
        _STATE.mkdir(parents=True, exist_ok=True)
        _SOCKET.parent.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        sys.exit(f"make dev: {error.filename} cannot be created: run it as root")
    print(
        f"==> state in {_STATE}, schema {schema}; try: docker network create --ipam-driver pyipam x"
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            _run_until_change(environment, schema)
    except KeyboardInterrupt:
        # Docker would mistake leftover sockets for a running plugin.
        for name in ("pyipam-dev", *alias_names(environment.get("DRIVER_ALIASES", "pyipam="))):
            _SOCKET.with_name(f"{name}.sock").unlink(missing_ok=True)
        print("==> stopped")


def _run_until_change(environment: dict[str, str], schema: Path) -> None:
    before = _modified(schema)
    program = subprocess.Popen(
        [sys.executable, "-m", "pyipam.server"], cwd=_ROOT / "plugin", env=environment
    )
    ended = False
    try:
        while (changed := _modified(schema)) == before:
            time.sleep(0.5)
            if program.poll() is not None and not ended:
                ended = True
                status = program.returncode
                print(f"==> the program ended with status {status}: waiting for a change")
    finally:
        program.terminate()
        program.wait()
    files = sorted({path.name for path, _ in changed.items() ^ before.items()})
    print(f"==> {', '.join(files)} changed: restarting", flush=True)


def _modified(schema: Path) -> dict[Path, int]:
    """When each file was written, in nanoseconds. A file that is removed counts as changed."""
    times = {}
    for path in (schema, *sorted((_ROOT / "plugin").rglob("*.py"))):
        try:
            times[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            times[path] = 0
    return times


if __name__ == "__main__":
    main()
