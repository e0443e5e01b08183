"""Real swarms: private engines on one switch, each with its own plugin and state."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.command import CommandFailed
from tests.support.engine.images import load_busybox
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import DRIVER
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import release_named
from tests.support.engine.schemas import SCHEMA_PATH, write_schema
from tests.support.engine.unix_http import HttpError, get_json
from tests.support.switch import Switch

# Addresses for documentation (RFC 5737), which are in no schema of a test.
_NETWORK = "192.0.2.{}"
_FIRST_HOST = 11
# A node that misses three of them counts as down, and its tasks are started elsewhere.
_HEARTBEAT = "3s"
_PATIENT_HEARTBEAT = "15s"
_BEGIN_SECONDS = 60.0
# How many lines of each log a failure shows.
_LOGGED = 40


@dataclass(frozen=True)
class Node:
    """A host of a swarm: its engine and its plugin."""

    name: str
    address: str
    engine: PrivateEngine
    plugin: Plugin

    def role(self) -> str:
        """The role that the engine itself says it has: "manager" or "worker", or the state that it
        is in while it has none. The list of the leader is ahead of it."""
        swarm = get_json(self.engine.api_socket, "/info")["Swarm"]
        if swarm["LocalNodeState"] != "active":
            return str(swarm["LocalNodeState"])
        return "manager" if swarm["ControlAvailable"] else "worker"

    def refusals(self) -> list[str]:
        """The lines in the log of dockerd about calls that its plugin refused."""
        return [line for line in self.engine.log.splitlines() if "refused call=" in line]


class Cluster:
    """A swarm: the first node creates it, the next ones join as managers, the others as workers.

    A context manager: leaving ends everything at once and leaves nothing.
    """

    def __init__(
        self,
        versions: Sequence[str],
        managers: int,
        bundle: Path,
        schema: str,
        settings: Mapping[str, str],
        switch: Switch,
        say: Say,
    ) -> None:
        """The plugin of every node gets this `schema` and these `settings`."""
        self._say = say
        self._switch = switch
        self._versions = versions
        self._first_managers = managers
        self._bundle = bundle
        self._schema = schema
        self._settings = settings
        self._stack = ExitStack()
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._say(f"removing the swarm of {len(self.nodes)} engines")
        self._stack.close()

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def leader(self) -> Node:
        """The leader; wait for one if there is none."""
        found: list[Node] = []

        def leads() -> bool:
            found[:] = self._leaders()
            return len(found) == 1

        self.wait_for("a leader", leads)
        return found[0]

    def running(self) -> list[Node]:
        """The nodes whose dockerd runs."""
        return [node for node in self.nodes if node.engine.runs]

    def node_list(self) -> list[dict[str, Any]]:
        """The nodes as the leader lists them."""
        return self.leader().engine.listing("/nodes")

    def must(self, *arguments: str) -> str:
        """Run the docker client on the leader; it must succeed."""
        return self.leader().engine.must(*arguments)

    def wait_for_leader_after(self, node: Node) -> None:
        """Wait until another node than this one leads."""
        self.wait_for(
            f"another leader than {node.name}", lambda: self._leaders() not in ([], [node])
        )

    def take_lead_from(self, node: Node) -> None:
        """Let another manager lead; the node is a manager again afterwards."""
        self.demote(node)
        self.wait_for_leader_after(node)
        self.promote(node)

    def give_lead_to(self, node: Node) -> None:
        """Let the node lead: the leader hands the lead to any manager that it reaches, so the other
        ones are workers meanwhile. All are managers again afterwards."""
        leader = self.leader()
        if leader == node:
            return
        others = [other for other in self.nodes if other not in (node, leader)]
        demoted = [*filter(self._is_manager, others), leader]
        for other in demoted:
            self.demote(other)
        self.wait_for("the lead of " + node.name, lambda: self._leaders() == [node])
        for other in demoted:
            self.promote(other)

    def demote(self, node: Node) -> None:
        """Make the manager a worker, and wait until it is one by its own word: no promotion is to
        come before that."""
        self._change("node", "demote", node.name)
        self.wait_for(
            f"{node.name} demoted",
            lambda: not self._is_manager(node) and node.role() == "worker",
        )

    def promote(self, node: Node) -> None:
        """Make the worker a manager, and wait until all nodes are ready."""
        self._change("node", "promote", node.name)
        self.wait_for(f"{node.name} promoted", lambda: self._is_manager(node))
        self._wait_until_it_manages(node)
        self.wait_until_ready()

    def _wait_until_it_manages(self, node: Node) -> None:
        """Wait until a promoted engine is a manager by its own word. One that does not begin is
        restarted: seen once, on a busy machine (of the kind of moby/swarmkit#2196)."""
        try:
            self.wait_for(
                f"{node.name} managing", lambda: node.role() == "manager", seconds=_BEGIN_SECONDS
            )
        except CommandFailed as error:
            self._say(str(error))
            node.engine.restart()

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Let no node count as down that is only slow to find the next leader."""
        self._change("swarm", "update", "--dispatcher-heartbeat", _PATIENT_HEARTBEAT)
        try:
            yield
        finally:
            self._change("swarm", "update", "--dispatcher-heartbeat", _HEARTBEAT)

    def _change(self, *command: str) -> None:
        # Swarm refuses to change what it is changing itself ("update out of sequence").
        def changed() -> bool:
            return self.leader().engine.docker(*command).code == 0

        self.wait_for(" ".join(command), changed)

    def _is_manager(self, node: Node) -> bool:
        return any(
            state.get("ManagerStatus") and _name(state) == node.name for state in self.node_list()
        )

    def wait_until_ready(self) -> None:
        """Wait until every node is ready and every manager reachable."""

        def ready() -> bool:
            states = self.node_list()
            managers = [state["ManagerStatus"] for state in states if state.get("ManagerStatus")]
            return (
                sorted(_name(state) for state in states) == [node.name for node in self.nodes]
                and all(state["Status"]["State"] == "ready" for state in states)
                and all(manager["Reachability"] == "reachable" for manager in managers)
            )

        self.wait_for("all nodes ready", ready)

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 180) -> None:
        """Wait until the condition holds. Raises CommandFailed with the ends of all logs.

        If a manager cannot answer at the moment, for example without a leader, the wait goes on.
        """
        end = time.monotonic() + seconds
        while True:
            with suppress(HttpError, OSError):
                if holds():
                    return
            if time.monotonic() > end:
                raise CommandFailed(f"{what}: not within {seconds:g} s\n{self._log_tails()}")
            time.sleep(0.1)

    def _start(self) -> None:
        for version in self._versions:
            ensure_chroot(release_named(version), self._say)
        self._switch.require_vxlan()
        self._say(f"starting {len(self._versions)} engines ({', '.join(self._versions)})")
        with ThreadPoolExecutor() as pool:
            numbers = range(1, len(self._versions) + 1)
            self.nodes = list(pool.map(self._start_node, numbers))
        self._join()

    def _start_node(self, number: int) -> Node:
        name, address = f"node{number}", _NETWORK.format(_FIRST_HOST + number - 1)

        def prepare(namespaces: Namespaces) -> None:
            namespaces.run(["bash", "-c", f"echo {name} > /proc/sys/kernel/hostname"]).check()
            self._switch.plug(namespaces, f"{address}/24")

        version = self._versions[number - 1]
        engine = PrivateEngine(version, self._say, prepare=prepare)
        self._stack.enter_context(engine)
        load_busybox(engine)
        plugin = Plugin.create(engine, DRIVER, self._bundle)
        write_schema(plugin, self._schema)
        plugin.set(SCHEMA_PATH=SCHEMA_PATH, **self._settings)
        plugin.enable()
        return Node(name, address, engine, plugin)

    def _join(self) -> None:
        first, *others = self.nodes
        own = ["--advertise-addr", first.address, "--dispatcher-heartbeat", _HEARTBEAT]
        first.engine.must("swarm", "init", *own)
        for position, node in enumerate(others, start=1):
            role = "manager" if position < self._first_managers else "worker"
            token = first.engine.must("swarm", "join-token", "--quiet", role)
            own = ["--advertise-addr", node.address, "--token", token]
            node.engine.must("swarm", "join", *own, f"{first.address}:2377")
        self.wait_until_ready()
        self._say(f"a swarm of {len(self.nodes)} nodes is up, {first.name} leads")

    def _leaders(self) -> list[Node]:
        """The leaders, according to the first manager that can tell."""
        for node in self.running():
            with suppress(HttpError, OSError):
                return [
                    self.node(_name(state))
                    for state in node.engine.listing("/nodes")
                    if state.get("ManagerStatus", {}).get("Leader")
                ]
        return []

    def _log_tails(self) -> str:
        return "\n".join(
            "\n".join([f"--- {node.name}", *_significant(node.engine.log)[-_LOGGED:]])
            for node in self.nodes
        )


def _name(state: Mapping[str, Any]) -> str:
    """The name of a node that is listed; empty until it has told it."""
    return str(state["Description"].get("Hostname", ""))


def _significant(log: str) -> list[str]:
    """The lines without those that every task of a swarm causes where there is no IP_VS, and those
    on questions of the tests."""
    noise = ("net.ipv4.vs", "ip_vs", "ipvs", "runtime=io.containerd", "Handler for GET /nodes")
    return [line for line in log.splitlines() if not any(word in line for word in noise)]
