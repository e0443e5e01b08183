"""Several nodes at once, each a process: nothing is given out twice, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from pyipam.store.errors import Conflict
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import LeaseRecord, PoolRecord
from tests.mongodb.nodes import SharedPlan
from tests.support.mongodb.replica_set import wait_for
from tests.support.stored_records import POOL, puts, replace

ROOT = Path(__file__).parents[2]
NODES = ["node1", "node2", "node3", "node4"]


class Node:
    """A process that takes blocks and addresses. `taken` lists those that were acknowledged."""

    def __init__(self, plan: SharedPlan, name: str, blocks: int, leases: int) -> None:
        self.taken: list[str] = []
        command = [sys.executable, "-m", "tests.mongodb.allocator", plan.address.url, name]
        self._process = subprocess.Popen(
            [*command, str(plan.folder), str(blocks), str(leases)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT}/plugin"},
        )
        self._reader = threading.Thread(target=self._read)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        self._reader.start()

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait until the process ends. Returns its exit status."""
        code = self._process.wait(timeout=120)
        self._reader.join()
        return code

    def wait_for(self, count: int) -> None:
        """Wait until it has this many blocks and addresses."""
        wait_for(lambda: len(self.taken) >= count, f"{count} blocks and addresses")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.taken.append(line.strip())


def started(stack: ExitStack, plan: SharedPlan, blocks: int, leases: int) -> list[Node]:
    nodes = []
    for name in NODES:
        nodes.append(Node(plan, name, blocks, leases))
        stack.callback(nodes[-1].kill)
    for node in nodes:
        node.begin()
    return nodes


def stored(plan: SharedPlan) -> list[str]:
    """Every block and address that is stored, each as often as it is stored."""
    return [
        record.id.partition("/")[2] if isinstance(record, PoolRecord) else record.address
        for record in plan.records("nobody")
        if isinstance(record, LeaseRecord)
        or (isinstance(record, PoolRecord) and not record.id.endswith("/20"))
    ]


def takes_a_block(store: MongoDbStore) -> bool:
    try:
        store.commit(puts(replace(POOL, id="local/192.0.2.0/24")), within=5.0)
    except Conflict:
        return False
    return True


def test_four_nodes_in_parallel_take_nothing_twice(plan: SharedPlan) -> None:
    with ExitStack() as stack:
        nodes = started(stack, plan, blocks=30, leases=60)
        assert [node.end() for node in nodes] == [0] * len(nodes)

        taken = [item for node in nodes for item in node.taken]
        assert len(taken) == len(set(taken)) == len(nodes) * 90
        assert sorted(stored(plan)) == sorted(taken)


def test_killed_nodes_do_not_delay_others_for_long_and_lose_nothing(plan: SharedPlan) -> None:
    with ExitStack() as stack:
        nodes = started(stack, plan, blocks=4000, leases=4000)
        survivor = plan.following("survivor")
        for node in nodes:
            node.wait_for(20)
            node.kill()

        wait_for(lambda: takes_a_block(survivor), "a block", timeout_seconds=10.0)
        taken = [item for node in nodes for item in node.taken]
        found = stored(plan)

    assert len(taken) == len(set(taken))
    assert len(found) == len(set(found))
    # Each may have been killed after a commit, before it printed the line.
    assert set(taken) < set(found)
    assert len(found) <= len(taken) + len(nodes) + 1
