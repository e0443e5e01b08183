"""Many nodes of one plan, for a simulated day: `make bench SCALE=1`, or `python -m bench.scale`.

    python -m bench.scale [NODES:NETWORKS ...]

Without sizes, it measures those of the benchmark, and writes its section of docs/performance.md.

The nodes are the plugin's core over its store in MongoDB, many in a process; three real members are
on the loopback interface. They draw their networks from aggregates, with three containers in each.
All of them are there at the same time. Of a thousand, a hundred hear of the others: the change
streams of all of them would take a processor. The others learn what stands in their way, and what
they missed when they start.

During the day, networks and containers come and go, processes are killed in the middle of a call,
start again, or their nodes are forgotten. At the end, the database is read without the plugin, and
compared with what every node was told.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from bench import report, scale_report, servers, table
from bench.run import FULL, Run
from bench.scale_audit import audit
from bench.scale_nodes import Counted, Day, Networks, Node
from bench.scale_point import DayPassed, Point, Quiet
from bench.scale_probe import HEARING, Document, measure_calls, measure_starts
from bench.scale_worker import Worker, routes_of
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.forgetting import Forgetting
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import ReplicaSet, loopback_places

_WORKERS = 2
_MOST_FOLLOWERS = 100
_STEPS = 6
_STEP_SECONDS = 4 * 3600.0
_CALLS_A_STEP = 2
# Of a hundred nodes, so many lose their process in each step; of those, one is forgotten, the
# others come back.
_DYING, _FORGOTTEN_OF = 20, 4
_QUIET_SECONDS = 5.0
_PROBE = "probe"
_numbers = count()


def for_a_day(run: Run) -> None:
    """Many nodes for a day, as a part of the benchmark."""
    folder = run.folder / "scale"
    folder.mkdir()
    begun = time.monotonic()
    try:
        points = measure(folder, run.sizes.scale, run.say)
    except (RuntimeError, TimeoutError) as error:
        run.say(f"        not measured: {error}")
        run.add(table.missing("many nodes for a day", "see above"))
        return
    wrong = sum(len(point.problems) for point in points)
    what = f"{max(point.nodes for point in points):,} nodes for a day: lost, doubled, overlapping"
    run.add(table.absolute(what, wrong, table.Unit("times"), most=0))
    run.many_nodes = scale_report.section(points, time.monotonic() - begun)
    run.pictures |= scale_report.pictures(points)


def measure(
    folder: Path, sizes: Sequence[tuple[int, int]], say: Callable[[str], None]
) -> list[Point]:
    """Measure each size, over an empty plan. Raises RuntimeError if no mongod can be obtained."""
    replica_set = ReplicaSet(ensure_mongod(), folder / "members", loopback_places())
    try:
        replica_set.start()
        replica_set.wait_until_whole()
        return [_measure(replica_set, folder, nodes, networks, say) for nodes, networks in sizes]
    finally:
        replica_set.close()


def _measure(
    replica_set: ReplicaSet, folder: Path, nodes: int, networks: int, say: Callable[[str], None]
) -> Point:
    point = Point(nodes, networks)
    url = replica_set.url_of(f"scale{next(_numbers)}")
    with _plan(replica_set, url, folder) as plan:
        begun = time.monotonic()
        plan.start(nodes, networks)
        say(
            f"        {nodes} nodes with {networks} networks each have started, after "
            f"{time.monotonic() - begun:.0f} s"
        )
        plan.follow()
        plan.measure_probe(point)
        point.quiet = plan.quiet()
        point.day = plan.live_through_a_day(point.problems)
        say(f"        a day has passed, after {time.monotonic() - begun:.0f} s")
        plan.check(point)
        say(f"        {len(point.problems)} problems")
    return point


@contextmanager
def _plan(replica_set: ReplicaSet, url: str, folder: Path) -> Iterator[_Plan]:
    plan = _Plan(replica_set, url, folder)
    try:
        yield plan
    finally:
        plan.close()


class _Plan:
    """One plan, its nodes in other processes, and one in this process, which is measured."""

    def __init__(self, replica_set: ReplicaSet, url: str, folder: Path) -> None:
        self._replica_set = replica_set
        self._url = url
        self._folder = folder
        self._client: MongoClient[Document] = MongoClient(url)
        name = StoreAddress(url).database
        self._database = self._client.get_database(name, read_concern=ReadConcern("majority"))
        self._workers = [Worker(url, folder) for _ in range(_WORKERS)]
        self._names: list[list[str]] = [[] for _ in self._workers]
        self._followers = _MOST_FOLLOWERS // len(self._workers)
        self._forgotten: list[str] = []
        self._choose = random.Random(1)
        self._probe = Node(url, _PROBE, folder, Day())

    def start(self, nodes: int, networks: int) -> None:
        """Start so many nodes, with so many networks each."""
        for number in range(nodes - 1):
            self._names[number % len(self._workers)].append(f"h{number:04}")
        self._ask("start", [(names, networks) for names in self._names])
        self._probe.start()
        self._probe.fill(networks)

    def follow(self) -> None:
        """Let some nodes hear of the others from now on: nothing of how they began."""
        self._ask("follow", [(names[: self._followers],) for names in self._names])
        self._probe.stop()
        self._probe.start()
        self._probe.follow()

    def measure_probe(self, point: Point) -> None:
        """What one node costs while nothing happens."""
        point.cost = measure_calls(self._probe, self._client[self._database.name])
        point.starts, point.memory = measure_starts(self._url, "another")

    def quiet(self) -> Quiet:
        """What it takes that they are there."""
        heard, used = HEARING.bytes, self._replica_set.primary().processor_seconds()
        time.sleep(_QUIET_SECONDS)
        used = self._replica_set.primary().processor_seconds() - used
        return Quiet(
            1 + sum(len(names[: self._followers]) for names in self._names),
            (HEARING.bytes - heard) / _QUIET_SECONDS,
            used / _QUIET_SECONDS,
        )

    def live_through_a_day(self, problems: list[str]) -> DayPassed:
        """Let a day pass; what is wrong with nodes that come back is added to the problems."""
        heard, answered = HEARING.bytes, sum(each.answered for each in self._counted())
        begun = time.monotonic()
        killed = sum(self._live_on(step, problems) for step in range(_STEPS))
        counted = self._counted()
        return DayPassed(
            time.monotonic() - begun,
            sum(each.answered for each in counted) - answered,
            HEARING.bytes - heard,
            killed,
            len(self._forgotten),
            sum(len(each.refused) for each in counted),
            sum(each.unknown for each in counted),
        )

    def _live_on(self, step: int, problems: list[str]) -> int:
        """Let a part of the day pass; how many processes were killed."""
        dying = [self._some(names) for names in self._names]
        self._ask("work", [(_STEP_SECONDS, _CALLS_A_STEP, step)] * len(self._workers))
        self._ask("die", [(names,) for names in dying])
        lost = [names[: len(names) // _FORGOTTEN_OF] for names in dying]
        for worker, names in enumerate(lost):
            self._forget(worker, names)
        back = [names[len(names) // _FORGOTTEN_OF :] for names in dying]
        for found in self._ask("come_back", [(names,) for names in back]):
            problems += found
        return sum(map(len, dying))

    def _some(self, names: Sequence[str]) -> list[str]:
        return self._choose.sample(names, -(-len(names) * _DYING // 100))

    def _forget(self, worker: int, names: Sequence[str]) -> None:
        """Forget nodes whose processes have ended."""
        if not names:
            return
        forgetting = Forgetting(StoreAddress(self._url), self._folder)
        forgetting.load()
        for name in names:
            forgetting.forget(name, time.time())
            self._names[worker].remove(name)
            self._forgotten.append(name)
        forgetting.close()
        self._workers[worker].ask("lose", names)
        self._workers[worker].answer()

    def check(self, point: Point) -> None:
        """Compare what every node was told with what is stored."""
        told = self._told()
        point.problems += [
            problem
            for found in self._ask("problems", [()] * len(self._workers))
            for problem in found
        ]
        for of_worker in self._ask("routes", [()] * len(self._workers)):
            point.routes += of_worker.values()
        point.routes.append(routes_of(self._probe))
        told[_PROBE] = self._probe.networks
        point.problems += audit(self._database, told, self._forgotten)
        point.pools = sum(map(len, told.values()))
        point.leases = sum(len(each) for of_node in told.values() for each in of_node.values())

    def close(self) -> None:
        """End everything."""
        with suppress(Exception):
            self._ask("stop", [()] * len(self._workers))
        for worker in self._workers:
            worker.close()
        if self._probe.is_running:
            self._probe.stop()
        self._client.drop_database(self._database.name)
        self._client.close()

    def _told(self) -> dict[str, Networks]:
        told: dict[str, Networks] = {}
        for of_worker in self._ask("told", [()] * len(self._workers)):
            told |= of_worker
        return told

    def _counted(self) -> list[Counted]:
        of_workers = self._ask("counted", [()] * len(self._workers))
        return [each for of_worker in of_workers for each in of_worker]

    def _ask(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask every process the same at once; what they answer."""
        for worker, given in zip(self._workers, arguments, strict=True):
            worker.ask(name, *given)
        return [worker.answer() for worker in self._workers]


def main(arguments: Sequence[str]) -> None:
    """Measure and print the sizes that are given, as NODES:NETWORKS. If none are, measure those of
    the benchmark, and write them into docs/performance.md as well."""
    sizes = [(int(n), int(m)) for n, m in (each.split(":") for each in arguments)] or FULL.scale
    begun = time.monotonic()
    parent = servers.ROOT / "build"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-", dir=parent))
    try:
        points = measure(folder, sizes, lambda text: print(text, flush=True))
    finally:
        shutil.rmtree(folder)
    section = scale_report.section(points, time.monotonic() - begun)
    print(section)
    for point in points:
        for problem in point.problems[:20]:
            print(problem)
    if not arguments:
        report.write_many_nodes(servers.ROOT / "docs", section, scale_report.pictures(points))


if __name__ == "__main__":
    main(sys.argv[1:])
