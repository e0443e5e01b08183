"""A process with many nodes of one plan, and how it is told what happens to them.

One process after the other would leave the processors idle while the database writes, and all nodes
in one would wait for one interpreter.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.scale_nodes import Counted, Day, Networks, Node, SharedClient
from pyipam import log
from pyipam.core.aggregates import block_of_aggregate
from pyipam.space.merging import merge_blocks

# How many nodes of a process call at the same time.
_AT_ONCE = 6


class Errors(log.Output):
    """Standard output, to which errors are written that count as problems, too."""

    def __init__(self) -> None:
        super().__init__(sys.stdout.fileno())
        self.texts: list[str] = []

    def add(self, level: int, text: str) -> None:
        """Write a line, and note it."""
        super().add(level, text)
        self.texts.append(text)


class Nodes:
    """The nodes of one process, by name. Every method takes and returns what can be pickled."""

    def __init__(self, url: str, folder: Path, errors: Errors) -> None:
        self._url = url
        self._folder = folder
        self._errors = errors
        self._day = Day()
        self._client = SharedClient(url)
        self._nodes: dict[str, Node] = {}
        self._following: set[str] = set()
        # What came of the calls of those that were forgotten.
        self._counted_of_lost: list[Counted] = []

    def start(self, names: Sequence[str], networks: int) -> None:
        """Start a process of each node, which creates so many networks at once: what it has read
        says where the nodes before it have theirs."""

        def start(node: Node) -> None:
            node.start()
            node.fill(networks)

        for name in names:
            self._nodes[name] = Node(self._url, name, self._folder, self._day, self._client.connect)
        self._each(names, start)

    def follow(self, names: Sequence[str]) -> None:
        """Start these nodes again, and let them hear of the others from then on."""
        self._each(names, Node.stop)
        self._each(names, Node.start)
        self._following.update(names)
        for name in names:
            self._nodes[name].follow()

    def work(self, seconds: float, calls: int, seed: int) -> None:
        """Let so much of the day pass, in which each node that runs does so many things."""
        self._day.pass_by(seconds)

        def work(node: Node) -> None:
            choose = random.Random(f"{seed} {node.name}")
            for _ in range(calls):
                node.work(choose)

        self._each([name for name, node in self._nodes.items() if node.is_running], work)

    def die(self, names: Sequence[str]) -> None:
        """End the processes of these nodes in the middle of a call."""
        self._each(names, Node.die)

    def come_back(self, names: Sequence[str]) -> list[str]:
        """Start them again; what is wrong with what they know then."""
        problems = [problem for found in self._each(names, Node.come_back) for problem in found]
        for name in self._following.intersection(names):
            self._nodes[name].follow()
        return problems

    def lose(self, names: Sequence[str]) -> None:
        """Expect nothing any more of nodes that were forgotten."""
        self._counted_of_lost += [self._nodes.pop(name).counted for name in names]

    def counted(self) -> list[Counted]:
        """What came of the calls of each node, also of those that were forgotten."""
        return [*self._counted_of_lost, *(node.counted for node in self._nodes.values())]

    def told(self) -> dict[str, Networks]:
        """What each node was told is stored, by its name."""
        return {name: node.networks for name, node in self._nodes.items()}

    def problems(self) -> list[str]:
        """Where a node that runs knows something else than what it was told, and what any of them
        has logged as an error: what was done to them is none."""
        running = [node for node in self._nodes.values() if node.is_running]
        differing = [problem for node in running for problem in node.problems()]
        return [*differing, *(f"logged: {text}" for text in self._errors.texts)]

    def routes(self) -> dict[str, int]:
        """How many routes each node that runs announces."""
        return {name: routes_of(node) for name, node in self._nodes.items() if node.is_running}

    def stop(self) -> None:
        """End all processes."""
        self._each([name for name, node in self._nodes.items() if node.is_running], Node.stop)

    def _each(self, names: Sequence[str], act: Any) -> list[Any]:
        nodes = [self._nodes[name] for name in names]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(act, nodes))


def routes_of(node: Node) -> int:
    """How many routes a node announces."""
    with node.ipam.reading() as state:
        own = [each for each in state.aggregates.own() if each.released is None]
        return len(merge_blocks(map(block_of_aggregate, own)))


class Worker:
    """The nodes of another process. What is asked of it raises what it raises there."""

    def __init__(self, url: str, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(target=_serve, args=[there, url, folder], daemon=True)
        self._process.start()

    def ask(self, name: str, *arguments: Any) -> None:
        """Call a method of its nodes, without waiting for it."""
        self._connection.send((name, arguments))

    def answer(self) -> Any:
        """What the last call returned."""
        answer, error = self._connection.recv()
        if error is not None:
            raise error
        return answer

    def close(self) -> None:
        """End the process and its nodes."""
        self._connection.close()
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, url: str, folder: Path) -> None:
    nodes = Nodes(url, folder, _collect_errors())
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((getattr(nodes, name)(*arguments), None))
        except Exception as error:
            connection.send((None, RuntimeError(f"{name}: {error!r}")))


def _collect_errors() -> Errors:
    """What this process and its libraries log as errors from now on."""
    errors = Errors()
    log.write_to(errors, "error")
    libraries = logging.getLogger()
    libraries.handlers[:] = [log.LibraryHandler(errors)]
    libraries.setLevel(logging.ERROR)
    return errors
