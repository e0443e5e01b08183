"""What a start costs if much is stored.

`python -m bench.load` loads the state that its environment names, in a process of its own, as the
plugin does while its socket already listens. It prints the seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import servers
from bench.samples import Samples
from pyipam import log
from pyipam.core.clock import Clock
from pyipam.plan.schema_source import MountedFile
from pyipam.runtime.configured_store import open_configured_store
from pyipam.runtime.plugin import Plugin
from pyipam.settings import read_places, read_settings


@dataclass
class Start:
    """The seconds of the load alone, the seconds from the start of the program until everything is
    loaded, and the most bytes of memory that it held."""

    load: Samples = field(default_factory=Samples)
    known: Samples = field(default_factory=Samples)
    peak_memory: float = 0.0


def measure(folder: Path, schema: Path, rounds: int) -> Start:
    """Start over the state in the folder, several times."""
    found = Start()
    for _ in range(rounds):
        found.load.add(_load_alone(folder, schema))
        begun = time.perf_counter()
        with servers.pyipam(folder, schema) as server:
            found.known.add(time.perf_counter() - begun)
            found.peak_memory = max(found.peak_memory, server.peak_memory())
    return found


def _load_alone(folder: Path, schema: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=servers.ROOT,
        env={**os.environ, **servers.environment(folder, schema)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    """Load, and print how long it took."""
    log.to_stdout("error")
    settings, places = read_settings(os.environ), read_places(os.environ)
    begun = time.perf_counter()
    open_store = partial(open_configured_store, settings, places, "")
    plugin = Plugin(settings, places, MountedFile(places.schema), open_store, Clock())
    plugin.load()
    print(time.perf_counter() - begun)
    assert plugin.problem is None, plugin.problem


if __name__ == "__main__":
    main()
