"""The ways in which a replica set loses its primary."""

from __future__ import annotations

from tests.support.mongodb.replica_set import ReplicaSet


def kill_primary(replica_set: ReplicaSet) -> None:
    replica_set.primary().kill()


def freeze_primary(replica_set: ReplicaSet) -> None:
    replica_set.primary().freeze()


def step_down(replica_set: ReplicaSet) -> None:
    replica_set.step_down()


LOSSES = [kill_primary, freeze_primary, step_down]
