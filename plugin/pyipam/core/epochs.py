"""Epochs: telling a replay from a new request, through every kind of restart.

dockerd asks again for all that it has when it starts, and so does a swarm's new leader. Each start
begins an epoch of the driver name that it uses. See "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from pyipam.core.announcements import Announcements
from pyipam.core.claims import claim_of, with_claim, without_claims_of_other_nodes
from pyipam.core.decision import Decision, info
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import is_global
from pyipam.store.records import Change, Claim, DriverRecord, PoolRecord, Put, Run

# dockerd announces itself within this time, in every way, to a plugin that it has started again.
_RETURN_SECONDS = 5.0
# An engine replays its next network within this time of its announcement, or of the network before.
# libnetwork asks for the capabilities of a driver right before it replays.
_REPLAY_SECONDS = 60.0
# How many runs of engines are remembered for a driver name.
_MAX_RUNS = 16


def only_returns(state: State, driver: str, engine: str) -> bool:
    """Whether an announcement says only that the plugin is back, and begins no epoch.

    A plugin that was restarted alone hears from the run of the engine that it knew before, and at
    once again from every swarm allocator that ever ran in it: no replay follows.
    """
    now = state.clock.monotonic()
    return now < _returns_until(state, driver, engine, now)


def note_return(state: State, driver: str, engine: str) -> Decision[None]:
    """What an announcement changes that begins no epoch."""
    until = _returns_until(state, driver, engine, state.clock.monotonic())
    return Decision(None, announcements=state.announcements.with_back_until(driver, engine, until))


def begin_epoch(state: State, driver: str, engine: str) -> Decision[None]:
    """What an announcement changes that begins an epoch.

    An engine that is known already has not started: it is its swarm allocator that starts, and
    replays the global space only. Other runs go on, as far as anybody knows: whoever can use the
    socket may announce itself while the engine runs, and has begun no epoch for that.

    Another node may have led the swarm since, so the new epoch is later than every one in which
    somebody claimed a pool of the global space.
    """
    before = state.holdings.drivers.get(driver, DriverRecord(driver, "", 0, 0))
    known = before.run_of(engine)
    record = before._replace(
        engine=engine,
        local_epoch=before.local_epoch + (0 if known else 1),
        global_epoch=max(before.global_epoch, _latest_global_epoch(state)) + 1,
    )
    record = record._replace(runs=_runs(before, record, known))
    until = _returns_until(state, driver, engine, state.clock.monotonic())
    spaces: tuple[AddressSpace, ...] = ("global",) if known else ("local", "global")
    announcements = state.announcements.without_replays(driver, *spaces).without_guesses(driver)
    return Decision(
        None,
        [Put(record)],
        [info("epoch", driver=driver, local=record.local_epoch, swarm=record.global_epoch)],
        announcements.with_back_until(driver, engine, until),
    )


def _runs(before: DriverRecord, record: DriverRecord, known: Run | None) -> tuple[Run, ...]:
    """The runs to be remembered in the record of a driver name, of which one has just begun an
    epoch."""
    if not record.engine:
        return ()
    local_epoch = record.local_epoch if known is None else known.local_epoch
    latest = Run(record.engine, local_epoch, record.global_epoch)
    former = before.runs
    if not former and before.local_epoch:
        former = (Run(before.engine, before.local_epoch, before.global_epoch),)
    others = tuple(run for run in former if run.engine != record.engine)
    return (*others, latest)[-_MAX_RUNS:] if others else ()


def epoch_begun_by(state: State, driver: str, engine: str, space: AddressSpace) -> int:
    """The epoch that the engine that asks began: what was claimed before, it has not claimed since
    it started. If nobody can tell who asks or who announced itself, it is the present epoch; of an
    engine that has never announced itself, or that may have claimed what it has before anybody
    could tell, it is 0."""
    record = state.holdings.drivers.get(driver)
    if record is None:
        return 0
    if "" in (record.engine, engine):
        return state.holdings.epoch(driver, space)
    run = record.run_of(engine)
    if run is None or (space == "local" and run == _first_known(record)):
        return 0
    return run.local_epoch if space == "local" else run.global_epoch


def is_first_request(state: State, pool: PoolRecord, request: PoolRequest) -> bool:
    """Whether an engine that can be identified has started since it last claimed the pool, and asks
    for it for the first time, as it does for all that it has."""
    claim = claim_of(pool, request.driver)
    record = state.holdings.drivers.get(request.driver)
    return (
        claim is not None
        and record is not None
        and "" not in (record.engine, request.engine)
        and claim.epoch < epoch_begun_by(state, request.driver, request.engine, request.space)
    )


def is_unknown(state: State, claim: Claim, request: PoolRequest) -> bool:
    """Whether nobody can tell if the engine that asks has started since the claim."""
    record = state.holdings.drivers.get(request.driver)
    if record is None or "" in (record.engine, request.engine):
        return True
    first = _first_known(record)
    return (
        request.space == "local"
        and first is not None
        and first.engine == request.engine
        and claim.epoch < first.local_epoch
    )


def may_replay(state: State, driver: str) -> bool:
    """Whether an engine announced itself by the driver name, or may have repeated itself, so short
    ago that it may still be repeating itself."""
    now = state.clock.monotonic()
    back_until = state.announcements.back_until.items()
    return any(name == driver and now - at < _REPLAY_SECONDS for (name, _), at in back_until)


def first_epoch_of_boot(state: State, driver: str) -> int:
    """The first epoch of a driver name since the host was started: what was claimed for containers
    before has ended with them. It is 0 if nobody can tell: no run of an engine from before the
    start is known, or the latest one cannot be identified."""
    record = state.holdings.drivers.get(driver)
    if record is None:
        return 0
    boot = _boot_of(record.engine)
    here = [run.local_epoch for run in record.runs if _boot_of(run.engine) == boot]
    # The runs that are forgotten are the oldest: with one of an earlier boot, all of this one.
    is_complete = any(_boot_of(run.engine) not in ("", boot) for run in record.runs)
    return min(here) if boot and here and is_complete else 0


def _boot_of(engine: str) -> str:
    """The boot of the host in which a run of the engine was (api/engine.py, engine_of)."""
    boot, separator, _ = engine.partition(":")
    return boot if separator else ""


def _first_known(record: DriverRecord) -> Run | None:
    """The run that was the first to be identified, if one was announced before it that was not:
    they may be the same."""
    if len(record.runs) < 2 or record.runs[0].engine:
        return None
    return record.runs[1]


def changes_for_new_leader(
    state: State, pool: PoolRecord, request: AddressRequest
) -> tuple[list[Change], Announcements]:
    """What changes when a swarm's allocator that has begun to lead names a gateway: the claims of
    the former leader, on another node, have ended. RequestPool does not show it, as any dockerd
    may ask for a pool of the global space, and hand it back when it leads no swarm."""
    if request.kind != "gateway" or not request.serial:
        return [], state.announcements
    left = without_claims_of_other_nodes(pool, request.driver)
    if left == pool:
        return [], state.announcements
    return [Put(left)], state.announcements.with_replay(request.driver, "global")


def changes_for_second_network(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest
) -> tuple[list[Change], Announcements]:
    """What changes when a second network on a subnet asks for its gateway.

    A replay names the gateway that it has. Whoever asks for any gateway, or for another one, in a
    pool none of whose own gateways was claimed again, is a second network, after a restart of the
    plugin alone: the first one's leases are claimed as much as before, and there was no replay.
    """
    if request.kind != "gateway":
        return [], state.announcements
    mine = [lease for lease in subnet.leases_of(pool.id) if lease.driver == request.driver]
    gateways = [lease for lease in mine if lease.kind == "gateway" and lease.released is None]
    claim = claim_of(pool, request.driver)
    if claim is None or not gateways or not all(map(subnet.is_unclaimed, gateways)):
        return [], state.announcements
    twice = with_claim(pool, claim._replace(references=claim.references + 1))
    return (
        [Put(twice), *(Put(lease._replace(epoch=claim.epoch)) for lease in mine)],
        state.announcements.without_replays(request.driver, subnet.space),
    )


def _is_known(state: State, driver: str, engine: str) -> bool:
    record = state.holdings.drivers.get(driver)
    return record is not None and record.run_of(engine) is not None


def _returns_until(state: State, driver: str, engine: str, now: float) -> float:
    """The monotonic time until which the driver name, announced by this engine, only returns."""
    if not _is_known(state, driver, engine):
        return now
    return state.announcements.back_until.get((driver, engine), now + _RETURN_SECONDS)


def _latest_global_epoch(state: State) -> int:
    """The latest epoch in which a node that shares the plan claimed a pool of the global space."""
    if not state.shared:
        return 0
    pools = (pool for pool in state.holdings.pools() if is_global(pool.id))
    return max((claim.epoch for pool in pools for claim in pool.claims), default=0)
