"""The schema in force: the core is told of it at the start, and when its file has changed."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain, islice

from pyipam import log
from pyipam.core.ipam import Ipam
from pyipam.plan.differences import (
    ClaimedBlock,
    OwnAggregate,
    claim_differences,
    enclosed_differences,
    pool_differences,
    scope_differences,
    scopes_of,
)
from pyipam.plan.schema_source import SchemaInForce, SchemaSource
from pyipam.plan.scope_tree import ScopeTree
from pyipam.settings import Settings
from pyipam.views.aggregates import claimed_blocks, own_aggregates_in_use
from pyipam.views.order import Pause
from pyipam.views.pools import pools_in_use

_MAX_ERRORS_IN_MESSAGE = 10
_MAX_DIFFERENCES_LOGGED = 100


class SchemaWatch:
    """Keeps the core to the schema. `in_force` is the one that it was told of last.

    `start` and `take_effect` come first, in the thread that loads the plan; then `check`, again
    and again, in one thread.
    """

    def __init__(self, source: SchemaSource, settings: Settings, pause: Pause) -> None:
        """`pause` lets the calls of Docker go first."""
        self._source = source
        self._settings = settings
        self._pause = pause
        self.in_force = SchemaInForce("default", ScopeTree())

    @property
    def new_pools_refused(self) -> bool:
        """Whether the schema or a setting keeps networks from getting a pool."""
        return _reason_to_refuse_new_pools(self.in_force, self._settings) is not None

    def start(self) -> ScopeTree:
        """Read the schema to start with; its scopes."""
        self.in_force = self._source.start()
        return self.in_force.tree

    def take_effect(self, ipam: Ipam) -> None:
        """Refuse new pools where the schema or a setting is wrong, and log what is."""
        schema, settings = self.in_force, self._settings
        reason = _reason_to_refuse_new_pools(schema, settings)
        if reason is not None:
            ipam.refuse_new_pools(reason)
        log.info("schema in force", origin=schema.origin, scopes=sum(1 for _ in schema.tree))
        for message in (*settings.errors, *map(str, schema.errors), *schema.warnings):
            log.warning("the operator must act", reason=message)

    def check(self, ipam: Ipam) -> None:
        """Look at the file of the schema, and put what has changed in force."""
        changed = self._source.changed(self.in_force)
        if changed is None:
            return
        before, self.in_force = self.in_force.tree, changed
        if changed.tree is not before:
            ipam.use_schema(changed.tree)
        self.take_effect(ipam)
        if changed.tree is not before:
            _log_differences(ipam, before, changed.tree, self._pause)


def _log_differences(ipam: Ipam, before: ScopeTree, after: ScopeTree, pause: Pause) -> None:
    """Say what is different in the scopes, and what that means for the pools of this node."""
    old, new = scopes_of(before), scopes_of(after)
    own = [OwnAggregate(*each) for each in own_aggregates_in_use(ipam, pause)]
    claimed = [ClaimedBlock(*each) for each in claimed_blocks(ipam)]
    found = chain(
        scope_differences(old, new),
        claim_differences(pools_in_use(ipam, pause), own, old, new),
        enclosed_differences(claimed, old, new),
        pool_differences(pools_in_use(ipam, pause), old, new),
    )
    for difference in islice(found, _MAX_DIFFERENCES_LOGGED):
        log.info("schema changed", **asdict(difference))
    more = sum(1 for _ in found)
    if more:
        log.info("schema changed", more=more)


def _reason_to_refuse_new_pools(schema: SchemaInForce, settings: Settings) -> str | None:
    problems = list(settings.errors)
    if schema.new_pools_refused:
        problems += [f"schema at {error}" for error in schema.errors]
    if not problems:
        return None
    shown = "; ".join(problems[:_MAX_ERRORS_IN_MESSAGE])
    more = len(problems) - _MAX_ERRORS_IN_MESSAGE
    rest = f"; and {more} more" if more > 0 else ""
    return (
        "no new network can be given a subnet until this is fixed with docker plugin set or in "
        f"the schema file: {shown}{rest}"
    )
