"""Kills and power cuts under load: nothing acknowledged is lost, and nothing is given twice.

Thirty-two connections request and release as fast as they can. At random moments the process is
killed and started again, over and over on the same state. Each connection uses its own pools, so
after each kill it has what it was given, give or take its one call in progress.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.churn import Churn
from tests.faults.disks import Disk, disk
from tests.support.dockerd import Engine
from tests.support.program import Program, scope

ROUNDS = int(os.environ.get("POWER_CUT_ROUNDS", "200"))
DISK_ROUNDS = ROUNDS // 5


@pytest.fixture
def churn(program: Program, engine_a: Engine) -> Churn:
    seed = random.randrange(2**32)
    print(f"\nseed {seed}")
    program.write_schema(scope("10.0.0.0/8", 24))
    return Churn(program, engine_a, seed)


@pytest.fixture
def ext4(program: Program) -> Iterator[Disk]:
    with disk(program.state, "ext4") as made:
        yield made
        program.close()


def test_kills_under_load_lose_nothing_acknowledged_and_give_nothing_twice(
    churn: Churn, program: Program
) -> None:
    for number in range(ROUNDS):
        program.start()
        churn.check_and_adopt()
        churn.run_until(program.kill)
        if number % 20 == 19:
            print(f"round {number + 1} of {ROUNDS}: {churn.answered} calls were answered")
    assert churn.answered > ROUNDS


def test_power_cuts_under_load_lose_nothing_acknowledged_and_give_nothing_twice(
    churn: Churn, program: Program, ext4: Disk
) -> None:
    """Unlike a killed process, a host without power loses all that was not synced: files, and
    names of files."""
    for number in range(DISK_ROUNDS):
        program.start(*ext4.way_in)
        churn.check_and_adopt()
        churn.run_until(ext4.cut_power)
        program.kill()
        ext4.mount_again()
        if number % 10 == 9:
            print(f"round {number + 1} of {DISK_ROUNDS}: {churn.answered} calls were answered")
    assert churn.answered > DISK_ROUNDS
