"""The parts of the benchmark: each measures one promise, and adds its rows and pictures."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import (
    checkpoint,
    engine,
    latency,
    load,
    mongodb,
    nodes,
    page,
    readers,
    servers,
    stages,
    structures,
    throughput,
)
from bench.curves import Curve, draw
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL, Operation
from bench.plan import LARGE, LARGE_POOL, MANY, Held
from bench.run import Run
from bench.samples import Samples
from bench.servers import Server
from bench.table import (
    BYTES,
    MEGABYTES,
    MICROSECONDS,
    MILLISECONDS,
    NANOSECONDS,
    SECONDS,
    absolute,
    compared,
    divided,
    missing,
    published,
    rate,
)
from pyipam.store.tinydb.store import CHECKPOINT_SIZE_BYTES
from tests.support.browser import chromium
from tests.support.engine.command import CommandFailed
from tests.support.engine.plugin import Plugin
from tests.support.engine.unavailable import Unavailable
from tests.support.engine.unix_http import HttpError

ABOVE_THE_FLOOR = {"RequestAddress": 1.15, "RequestPool": 1.25}
SILENCE_SECONDS = 0.2
GROWTH = 1.15
IN_A_CHECKPOINT = 5.0
BESIDE_VIEWS, LONGER_BESIDE_VIEWS_SECONDS = 1.3, 0.010
LEAST_RATE, AIMED_RATE = 2_500.0, 7_500.0
LOAD_SECONDS, LOAD_MEMORY, ENABLE_SECONDS = 0.6, 110e6, 0.8
PICTURE_SECONDS, STEP_SECONDS = 1.0, 0.2
BESIDE_DOCKER = 1.05
BESIDE_GO_IPAM = 1.0
# The effect of the processor's caches on ten thousand times as many entries. A walk over all
# entries would be at 10,000x, and a tree at 3x or more.
FLAT = 3.0
# Larger integers take a few more bytes.
SAME_MEMORY = 1.5

# With the leases of one large pool, 100,000.
_LEASES_EACH_BESIDE_VIEWS = 4
_VIEWS = {
    "status": ["/v1/status"],
    "scopes": ["/v1/scopes"],
    "pools": ["/v1/pools?limit=500"],
    "leases": ["/v1/leases?limit=500"],
    "an address": ["/v1/explain?address=10.3.0.9"],
    "the whole plan as a map": ["/v1/map"],
    "a large pool as a map": ["/v1/map?block=100.64.0.0/16"],
    "free addresses": [f"/v1/free?pool={LARGE_POOL}"],
    "metrics": ["/metrics"],
    "what leaked": ["/v1/leases?unclaimed=true"],
    # What it refreshes.
    "the page of a scope": [
        "/v1/status",
        "/v1/scopes?limit=200",
        "/v1/map?block=10.3.0.0/16",
        "/v1/pools?limit=200&subnet=10.3.0.0/16",
        "/v1/names?limit=200&subnet=10.3.0.0/16",
    ],
}
# Where each step on the page leads, and the heading there.
_STEPS = {
    "a scope": ("map/10.0.0.0/8", "10.0.0.0/8"),
    "a part of a scope": ("map/10.3.0.0/16", "10.3.0.0/16"),
    "a pool": ("map/10.3.0.0/24", "10.3.0.0/24"),
    "an address": ("address/10.3.0.2", "10.3.0.2"),
    "the leases of a large pool": ("map/100.64.0.0/16?list=leases", "100.64.0.0/16"),
    "a search": ("search/many", "Found"),
    "what would I get": ("plan?tags=many&prefix=26", "What would I get?"),
    "what leaked": ("map?list=leases&unclaimed=true", "The whole plan"),
    "refusals": ("refusals", "Refusals"),
}
_EMPTY = Held(LARGE, 1)
_FLOOR, _ROOMY, _NONE, _MUCH, _OURS = "floor", "floor with room", "none", "much", "pyipam"
_STORAGES = {"TinyDB, JSONStorage": "JSONStorage", "TinyDB, replaced file": "replaced"}


def one_at_a_time(run: Run) -> None:
    """RequestAddress and RequestPool at c=1, with little and with much held, beside the floor."""
    sizes = run.sizes
    much = {
        REQUEST_ADDRESS: (f"{sizes.leases:,} leases", _leases(run)),
        REQUEST_POOL: (f"{sizes.pools:,} pools", (_EMPTY, Held(MANY, sizes.pools))),
    }
    for operation, (held, state) in much.items():
        with ExitStack() as stack:
            subjects = {
                _FLOOR: stack.enter_context(servers.floor(run.folder)),
                _ROOMY: stack.enter_context(servers.floor(run.folder, CHECKPOINT_SIZE_BYTES)),
                _NONE: stack.enter_context(_pyipam(run, "none", _EMPTY)),
                _MUCH: stack.enter_context(_pyipam(run, held, *state)),
            }
            found = latency.measure(subjects, operation, sizes.turns, sizes.calls)
            few = {name: subjects[name] for name in (_FLOOR, _NONE)}
            silent = latency.measure_after_silence(
                few, operation, SILENCE_SECONDS, sizes.calls_after_silence
            )
        _add_latencies(run, operation, held, found)
        what = f"{operation.name}, c=1: p50, after {SILENCE_SECONDS * 1e3:.0f} ms of silence"
        run.add(compared(what, silent[_NONE], silent[_FLOOR], MICROSECONDS))


def _leases(run: Run) -> tuple[Held, ...]:
    return (Held(LARGE, 1, run.sizes.leases),)


def _add_latencies(run: Run, operation: Operation, held: str, found: dict[str, Samples]) -> None:
    floor, none, much = found[_FLOOR], found[_NONE], found[_MUCH]
    name, most = f"{operation.name}, c=1", ABOVE_THE_FLOOR[operation.name]
    unit = MICROSECONDS
    run.add(
        compared(f"{name}: p50, nothing held", none, floor, unit, most=most),
        compared(f"{name}: p50, {held}", much, floor, unit, most=most),
        compared(f"{name}: the same, beside a floor with room", much, found[_ROOMY], unit),
        compared(f"{name}: p50, {held} against none", much, none, unit, most=GROWTH),
        divided(f"{name}: p99, {held}", much.p99, floor.p99, unit),
    )


def stages_of_a_call(run: Run) -> None:
    """Where the time of a call at c=1 goes inside the server."""
    floor, pyipam = partial(servers.floor, run.folder, CHECKPOINT_SIZE_BYTES), servers.pyipam
    over = {
        operation: partial(pyipam, run.state(f"stages of {operation.name}", _EMPTY), run.schema)
        for operation in (REQUEST_ADDRESS, REQUEST_POOL)
    }
    calls = run.sizes.staged_calls
    found = {_FLOOR: stages.measure(floor, REQUEST_ADDRESS, calls)}
    for operation, serve in over.items():
        found[operation.name] = stages.measure(serve, operation, calls)
    run.stages = stages.markdown(found)


def checkpoints(run: Run) -> None:
    """Calls at c=1 while a checkpoint brings many leases into the TinyDB files."""
    folder = run.state(f"{run.sizes.leases:,} leases", *_leases(run))
    with servers.pyipam(folder, run.schema) as server:
        quiet, during = checkpoint.measure(server, folder / "state", run.sizes.checkpoints)
    run.say(f"        {during.count} calls in {run.sizes.checkpoints} checkpoints")
    run.add(
        divided(
            f"c=1: p99 in a checkpoint of {run.sizes.leases:,} leases, against p50 outside",
            during.p99,
            quiet.p50,
            MICROSECONDS,
            most=IN_A_CHECKPOINT,
        ),
        divided("c=1: the same against p99 outside", during.p99, quiet.p99, MICROSECONDS),
        absolute("c=1: longest call in a checkpoint", during.longest, MILLISECONDS),
    )


def views(run: Run) -> None:
    """Calls at c=1 over much that is held, while somebody reads a view every 50 ms."""
    sizes = run.sizes
    with servers.pyipam(_much_to_see(run), run.schema) as server:
        found = readers.measure(server, _VIEWS, sizes.views_rounds, sizes.views_calls)
    quiet = found.pop(readers.NOBODY)
    for name, samples in found.items():
        run.add(
            divided(
                f"RequestAddress, c=1: p99, {name} read every 50 ms, against nobody",
                samples.p99,
                quiet.p99,
                MICROSECONDS,
                most=BESIDE_VIEWS,
            ),
            absolute(
                f"the same: longest call, longer than with nobody ({quiet.longest * 1e3:.1f} ms)",
                max(samples.longest - quiet.longest, 0.0),
                MILLISECONDS,
                most=LONGER_BESIDE_VIEWS_SECONDS,
            ),
        )


def on_the_page(run: Run) -> None:
    """The first picture of the page, and each step on it, in a browser."""
    try:
        with chromium(run.say) as browser, servers.pyipam(_much_to_see(run), run.schema) as server:
            found = page.measure(browser, server, _STEPS, run.sizes.page_rounds)
    except (Unavailable, CommandFailed) as error:
        run.say(f"        not measured: {error}")
        run.add(missing("the page", "see above"))
        return
    first = found.pop(page.FIRST_PICTURE)
    run.add(absolute("the page: first picture", first.p50, MILLISECONDS, most=PICTURE_SECONDS))
    for name, samples in found.items():
        run.add(absolute(f"the page: {name}", samples.p50, MILLISECONDS, most=STEP_SECONDS))


def _much_to_see(run: Run) -> Path:
    return run.state(
        f"{run.sizes.pools:,} pools and many leases",
        Held(LARGE, 1, run.sizes.leases),
        Held(MANY, run.sizes.pools, _LEASES_EACH_BESIDE_VIEWS),
    )


def many_at_once(run: Run) -> None:
    """RequestAddress and RequestPool from many connections at once."""
    for operation in (REQUEST_ADDRESS, REQUEST_POOL):
        with ExitStack() as stack:
            subjects = {
                _FLOOR: stack.enter_context(servers.floor(run.folder, CHECKPOINT_SIZE_BYTES)),
                _NONE: stack.enter_context(_pyipam(run, f"flood of {operation.name}", _EMPTY)),
            }
            sizes = run.sizes
            found, share = throughput.measure(subjects, operation, sizes.floods, sizes.flood_calls)
        run.say(f"        the client took up to {share:.0%} of a processor")
        name = f"{operation.name}, c={throughput.CONNECTIONS}"
        run.add(rate(name, found[_NONE], found[_FLOOR], least=LEAST_RATE, aim=AIMED_RATE))


def start(run: Run) -> None:
    """The program's start over a large state."""
    found = load.measure(_large_state(run), run.schema, run.sizes.starts)
    what = f"{run.sizes.pools * run.sizes.leases_each:,} leases in {run.sizes.pools:,} pools"
    run.add(
        absolute(f"load of {what}", found.load.p50, SECONDS, most=LOAD_SECONDS),
        absolute("the same: most memory held", found.peak_memory, MEGABYTES, most=LOAD_MEMORY),
        absolute("the same: from the program's start until known", found.known.p50, SECONDS),
    )


def finding_what_is_free(run: Run) -> None:
    """What it costs to find a free address or block, from few entries to many."""
    curves = []
    for name, kind in structures.KINDS.items():
        costs = structures.measure(name, run.sizes.entries)
        few, many = costs[0], costs[-1]
        against = f"{many.entries:,} held against {few.entries:,}"
        row = divided(
            f"{kind.exchange}: {against}", many.exchange, few.exchange, NANOSECONDS, most=FLAT
        )
        run.add(row)
        curves.append(Curve(kind.exchange, [(cost.entries, cost.exchange * 1e6) for cost in costs]))
        if kind.check is not None:
            row = divided(f"{kind.check}: {against}", many.check, few.check, NANOSECONDS, most=FLAT)
            run.add(row)
            curves.append(Curve(kind.check, [(cost.entries, cost.check * 1e6) for cost in costs]))
        run.add(absolute(f"memory for each of {many.entries:,} {name}", many.memory, BYTES))
    for name in structures.SIZES:
        little, much = structures.measure_sizes(name)
        run.add(
            divided(name, much.exchange, little.exchange, NANOSECONDS, most=FLAT),
            divided(f"{name}: memory, empty", much.memory, little.memory, BYTES, most=SAME_MEMORY),
        )
    run.pictures["structures"] = draw(
        "Finding what is free, by how much is held", "entries held", "µs for one", curves
    )


def beside_tinydb(run: Run) -> None:
    """RequestAddress beside a plain TinyDB that writes its file for each lease."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for leases in run.sizes.peer_leases:
        found = _beside_tinydb(run, leases)
        for name, samples in found.items():
            curves.setdefault(name, []).append((leases, samples.p50 * 1e6))
        ours = found.pop(_OURS)
        for name, samples in found.items():
            what = f"RequestAddress, c=1: p50, {leases:,} leases, against {name}"
            run.add(compared(what, ours, samples, MICROSECONDS))
    run.pictures["tinydb"] = draw(
        "RequestAddress, one call at a time, by leases held",
        "leases held",
        "µs, median",
        [Curve(name, points) for name, points in curves.items()],
    )


def _beside_tinydb(run: Run, leases: int) -> dict[str, Samples]:
    operation = replace(REQUEST_ADDRESS, undo=None)
    with ExitStack() as stack:
        state = (f"{leases:,} leases", Held(LARGE, 1, leases))
        subjects = {_OURS: stack.enter_context(_pyipam(run, *state))}
        for name, storage in _STORAGES.items():
            subjects[name] = stack.enter_context(servers.tinydb(run.folder, storage, leases))
        return latency.measure(subjects, operation, run.sizes.peer_turns, run.sizes.peer_calls)


def over_mongodb(run: Run) -> None:
    """Addresses and blocks per second from a plan in MongoDB, beside what go-ipam publishes."""
    folder = run.folder / "mongodb"
    folder.mkdir()
    try:
        with mongodb.plugin_over_three_members(folder, run.schema) as server:
            found = mongodb.measure(server, run.sizes.mongodb_rounds, run.sizes.mongodb_calls)
    except (RuntimeError, TimeoutError) as error:
        run.say(f"        not measured: {error}")
        run.add(missing("a plan in MongoDB", "see above"))
        return
    for (operation, connections), samples in found.items():
        what = f"MongoDB: {operation.name}, c={connections}, against go-ipam's published rate"
        least = BESIDE_GO_IPAM if connections == max(mongodb.CONNECTIONS) else None
        run.add(published(what, samples, mongodb.PUBLISHED[operation], least=least))


def many_nodes(run: Run) -> None:
    """Pools and addresses per second of several nodes that share a plan in MongoDB."""
    folder = run.folder / "nodes"
    folder.mkdir()
    try:
        found = nodes.measure(folder, run.schema, nodes.COUNTS, run.sizes.nodes_rounds, run.say)
    except (RuntimeError, TimeoutError) as error:
        run.say(f"        not measured: {error}")
        run.add(missing("nodes that share a plan in MongoDB", "see above"))
        return
    run.add(*nodes.rows(found))


def in_docker(run: Run) -> None:
    """Docker's commands with pyipam and with Docker's own driver; how long enabling takes."""
    try:
        with engine.engine_with_plugin(servers.ROOT / "build" / "plugin.tar", run.say) as plugin:
            _commands(run, plugin)
            _enabling(run, plugin)
    except (Unavailable, CommandFailed, HttpError) as error:
        run.say(f"        not measured: {error}")
        run.add(missing("docker commands, and enabling", "see above"))


def _commands(run: Run, plugin: Plugin) -> None:
    found = engine.measure_commands(plugin.engine, run.sizes.pairs)
    for command, samples in found.items():
        ours, own = samples[engine.PYIPAM], samples[engine.OWN_DRIVER]
        what = f"{command}, against Docker's own driver"
        run.add(compared(what, ours, own, MILLISECONDS, most=BESIDE_DOCKER))


def _enabling(run: Run, plugin: Plugin) -> None:
    states = {
        engine.EMPTY: run.state("nothing") / "state",
        _MUCH: _large_state(run) / "state",
    }
    found = engine.measure_enable(plugin, states, run.sizes.enables)
    much, empty = found[_MUCH].p50, found[engine.EMPTY].p50
    leases = f"{run.sizes.pools * run.sizes.leases_each:,} leases"
    run.add(
        absolute(f"docker plugin enable, {leases}", much, SECONDS, most=ENABLE_SECONDS),
        absolute("docker plugin enable, nothing held", empty, SECONDS),
    )


def _large_state(run: Run) -> Path:
    held = Held(MANY, run.sizes.pools, run.sizes.leases_each)
    return run.state(f"{run.sizes.pools:,} pools with leases", held)


def _pyipam(run: Run, name: str, *held: Held) -> AbstractContextManager[Server]:
    return servers.pyipam(run.state(name, *held), run.schema)
