"""What the command finds around itself: the engine, and the folders of the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pyipam.cli.engine import Engine, connect
from pyipam.cli.host_routes import routes_under
from pyipam.cli.routing.kernel import OpenKernel, open_kernel
from pyipam.cli.spec_files import SpecFolders
from pyipam.host.route import Route
from pyipam.plan.scope_tree import ScopeTree

# An address is given out before Docker shows who has it: in between lie at most the attempts to get
# an IPv6 address from a plugin that does not answer, and the driver's work.
_SECONDS_TO_SETTLE = 120.0


@dataclass(frozen=True)
class Surroundings:
    """Where the command looks. Tests hand in others.

    `sockets` is the folder in which Docker keeps the sockets of managed plugins (moby,
    daemon/daemon_unix.go, getPluginExecRoot); inside a plugin it is the plugin's own.
    `docker_home` is where the docker command looks for its plugins. `seconds_to_settle` is how long
    after an address was given out Docker may not show yet who has it. `notes` is where `record`
    notes what it sees. `docker_root` is Docker's data folder, if not where the engine says.
    `routes` tells the host's routes over scopes. `seconds_to_retry` is how long `record` waits
    before it asks again for an engine that is away. `open_kernel` opens the kernel whose routes
    `routes` compares and changes.
    """

    connect: Callable[[], Engine] = connect
    sockets: Path = Path("/run/docker/plugins")
    spec_folders: SpecFolders = field(default_factory=SpecFolders)
    docker_home: Path = Path("~/.docker")
    seconds_to_settle: float = _SECONDS_TO_SETTLE
    notes: Path = Path("/var/lib/pyipam/record")
    docker_root: Path | None = None
    routes: Callable[[ScopeTree], list[Route]] = routes_under
    seconds_to_retry: float = 1.0
    open_kernel: OpenKernel = open_kernel
