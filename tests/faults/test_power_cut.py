"""Power cut at any moment under load: what was acknowledged is there, and nothing twice.

Thirty-two connections allocate and release as fast as they can. At a random moment the process is
killed and started again, over and over on the same state. Each connection works on pools of its
own, so at each kill it has what it was told, give or take the one call that was under way.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.disks import Disk, disk
from tests.faults.load import CONNECTIONS, Load
from tests.support.dockerd import Engine
from tests.support.program import Program, scope

ROUNDS = int(os.environ.get("POWER_CUT_ROUNDS", "200"))
DISK_ROUNDS = ROUNDS // 5


@pytest.fixture
def load(program: Program, engine_a: Engine) -> Load:
    seed = random.randrange(2**32)
    print(f"\nseed {seed}")
    program.write_schema(scope("10.0.0.0/8", 24))
    return Load(program, engine_a, seed)


@pytest.fixture
def ext4(program: Program) -> Iterator[Disk]:
    with disk(program.state, "ext4") as made:
        yield made
        program.close()


def test_nothing_acknowledged_is_lost_and_nothing_is_given_twice(
    load: Load, program: Program
) -> None:
    for number in range(ROUNDS):
        program.start()
        load.check_and_adopt()
        load.run_until(program.kill)
        if number % 20 == 19:
            print(f"round {number + 1} of {ROUNDS}: {load.answered} calls were answered")
    assert load.answered > ROUNDS * CONNECTIONS


def test_nor_where_the_disk_loses_whatever_was_not_synced(
    load: Load, program: Program, ext4: Disk
) -> None:
    """A killed process leaves everything that it wrote to the kernel. The host's power cut does
    not: only what was synced is on the disk, files and the names of files."""
    for number in range(DISK_ROUNDS):
        program.start(*ext4.way_in)
        load.check_and_adopt()
        load.run_until(ext4.cut_power)
        program.kill()
        ext4.mount_again()
        if number % 10 == 9:
            print(f"round {number + 1} of {DISK_ROUNDS}: {load.answered} calls were answered")
    assert load.answered > DISK_ROUNDS * CONNECTIONS
