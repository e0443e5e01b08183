"""Tests that share an engine, a swarm or a replica set run in one of the processes of a run."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.fixtures.spreading import group_of, rank_of

_ROOT = Path(__file__).parents[2]
_FILES = ("tests/unit/test_version.py", "tests/unit/test_small_pools.py")


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("mongodb/test_store.py::test_a", "mongodb"),
        ("contract/test_log.py::test_a[mongodb]", "contract on MongoDB"),
        ("contract/test_log.py::test_a[mongodb-POST]", "contract on MongoDB"),
        ("contract/test_log.py::test_a", "contract/test_log.py"),
        ("page/test_plan.py::test_a", "page"),
        ("engine/test_subnets.py::test_a[20.10]", "engine/test_subnets.py 20.10"),
        ("engine/test_subnets.py::test_a[28.5-kill]", "engine/test_subnets.py 28.5"),
        ("bundle/engine/test_install.py::test_a[20.10]", "bundle/engine/test_install.py 20.10"),
        ("swarm/test_managers.py::test_a[kill-three managers]", "swarm three managers"),
        ("swarm/test_on_mongodb.py::test_a[three managers]", "swarm three managers"),
        ("faults/test_load.py::test_a[kill]", "faults/test_load.py::test_a[kill]"),
    ],
)
def test_a_group_is_what_its_tests_share(test: str, group: str) -> None:
    assert group_of(f"tests/{test}") == group


def test_the_groups_that_take_longest_begin_first() -> None:
    tests = ["tests/engine/test_a.py::test_a", "tests/page/test_b.py::test_b"]
    tests.append("tests/mongodb/test_c.py::test_c")

    assert sorted(tests, key=rank_of) == tests[::-1]


def test_one_process_runs_all_tests_of_a_group() -> None:
    surroundings = {name: value for name, value in os.environ.items() if "COV" not in name}
    options = ["-n", "2", "--dist", "loadgroup", "-v", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *_FILES],
        cwd=_ROOT,
        env={name: value for name, value in surroundings.items() if "PYTEST" not in name},
        capture_output=True,
        text=True,
        check=True,
    )

    processes = defaultdict(set)
    for line in done.stdout.splitlines():
        if line.startswith("[gw"):
            process, file = line.split("]")[0], line.split("::")[0].split(" ")[-1]
            processes[file].add(process)
    assert set(processes) == set(_FILES)
    assert all(len(found) == 1 for found in processes.values()), processes
