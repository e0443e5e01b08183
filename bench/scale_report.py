"""The section of docs/performance.md on many nodes: tables, curves, and where the next wall is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median

from bench import machine
from bench.curves import Curve, draw
from bench.scale_point import Point
from bench.scale_probe import CALLS
from bench.table import BYTES, MEGABYTES, SECONDS, Unit

TITLE = "## Many nodes\n"
_END = "\n## "
_MILLISECONDS = Unit("ms", 1e3, 1)
# What is reckoned with, where the next wall is looked for.
_MANY = 10_000
_NETWORKS_AN_HOUR = 10
_SOCKETS, _SOCKETS_OF_PRIMARY = 8, 4

_TEXT = """\
{title}
Measured by `make bench SCALE=1` or `python -m bench.scale` on {date}, in {seconds:.0f} s,
on {machine}.
A node is the plugin's core over its store in MongoDB. Many nodes are in a process and share its
connections, and the three members are on the same machine. Each node has {networks}
networks of a scope with `node_prefix` (/21 of a /8, and a /27 for each network), with three
containers in each. All nodes are there at the same time, and at most {followers} of them hear of
the others: the change streams of a thousand would take a processor. Then a day passes: networks and
containers come and go, processes are killed in the middle of a call, start again, or their nodes
are forgotten. At the end, the database is read without the plugin: no address and no block may be
there twice, no two blocks may overlap, every network has to be in an aggregate of its node, and
what a node was told has to be there, and nothing else. `python -m bench.scale 1000:100` does this
for a thousand nodes alone.

{by_nodes}

The same by how much each node has:

{by_size}

*Examined* and *written* are documents and index keys that the database looks at, and documents that
it changes, for one call. A *start* is a process that connects, reads the plan and could answer; the
memory is what that process holds then. *Heard* is what the database sends to a node that hears of
the others. The times are those of one call at a time, while nobody else calls, without Docker and
HTTP.

![A call and a start, by number of nodes](performance-scale-time.svg)

![Memory and what a node hears, by number of nodes](performance-scale-size.svg)

### Where the next wall is

This is reckoned from the figures above, for {many:,} nodes, each of which creates and removes
{an_hour} networks with a container an hour. Nobody has seen that many.

- **The oplog.** A network, a container and their end are {oplog_of_one:,.0f} bytes there: for all
  nodes {oplog:,.0f} kB a second, {oplog_a_day:,.1f} GB a day. A node that was away for longer than
  the oplog reaches back reads the plan again, as at a start. A larger oplog moves this.
- **Change streams.** A node that hears of the others asks twice a second even if nothing happens.
  Such {followers} nodes took {share:.0%} of a processor of the primary, so all would take
  {processors:,.1f} processors. And the primary holds every write against the filter of every
  stream, also what no stream passes on: that grows with the nodes times their calls. **This is the
  next wall.** Streams that are read from the secondaries and longer waits move it, by their number.
  A database of its own for what nodes keep to themselves would remove the second part, because a
  stream follows one database.
- **Connections.** The plugin's client has two to each of three members to watch them, and one or
  two more to the primary: {sockets:,} in all, {sockets_of_primary:,} of them at the primary, each
  with a thread there. MongoDB accepts 65,536 if the limit on open files allows it. Fewer
  connections need something between the nodes and the members.
- **Routes of a leaf.** {routes:,.0f}, if one router has to know every node, however many networks
  they have. A leaf that knows the nodes of its rack and a default route has a few dozen.
- **The scope.** A /8 has 8,192 blocks of /21. Every node reads the aggregates of all others when it
  starts, and hears of each one that is claimed: that is the part of a start and of memory that
  grows with the nodes.

"""


def section(points: Sequence[Point], seconds: float) -> str:
    """The section, from its title on."""
    by_nodes, by_size = _by_nodes(points), _by_size(points)
    largest = max(points, key=lambda point: point.nodes)
    return _TEXT.format(
        title=TITLE,
        date=datetime.now(UTC).date().isoformat(),
        seconds=seconds,
        machine=machine.processors(),
        networks=largest.networks,
        followers=max(point.quiet.followers for point in points),
        by_nodes=_table(by_nodes),
        by_size=_table(by_size),
        **_walls(largest),
    )


def pictures(points: Sequence[Point]) -> dict[str, str]:
    """The curves, by name."""
    by_nodes = _by_nodes(points)

    def curve(name: str, value: Callable[[Point], float]) -> Curve:
        return Curve(name, [(point.nodes, value(point)) for point in by_nodes])

    calls = [curve(name, partial(_p50_of, name)) for name in CALLS]
    return {
        "scale-time": draw(
            "A call and a start, by number of nodes",
            "nodes",
            "ms, median",
            [*calls, curve("a start", lambda point: point.starts.p50 * 1e3)],
        ),
        "scale-size": draw(
            "Memory, and what a node hears, by number of nodes",
            "nodes",
            "MB, or bytes a second",
            [
                curve("memory, MB", lambda point: point.memory / 1e6),
                curve("heard, B/s", lambda point: point.quiet.bytes_a_second),
            ],
        ),
    }


def _p50_of(name: str, point: Point) -> float:
    return point.cost.seconds[name].p50 * 1e3


def put_into(page: str, new: str) -> str:
    """The page with this section instead of the one that it has, or before the last one."""
    old = of_page(page)
    if old:
        return page.replace(old, new)
    before, title, after = page.rpartition(_END)
    return f"{before}\n{new}{title.removeprefix(chr(10))}{after}"


def of_page(page: str) -> str:
    """The section of a page, or nothing if it has none."""
    start = page.find(TITLE)
    if start < 0:
        return ""
    end = page.find(_END, start + 1)
    return page[start : end + 1] if end >= 0 else page[start:]


def _by_nodes(points: Sequence[Point]) -> list[Point]:
    usual = max(points, key=lambda point: point.nodes).networks
    return sorted(
        (point for point in points if point.networks == usual), key=lambda point: point.nodes
    )


def _by_size(points: Sequence[Point]) -> list[Point]:
    others = [point for point in points if point not in _by_nodes(points)]
    same = {point.nodes for point in others}
    return sorted((point for point in points if point.nodes in same), key=lambda p: p.networks)


def _table(points: Sequence[Point]) -> str:
    lines = [
        "| " + " | ".join([name, *(text(point) for point in points)]) + " |"
        for name, text in _rows()
    ]
    lines.insert(1, "|---|" + "--:|" * len(points))
    return "\n".join(lines)


def _rows() -> Iterator[tuple[str, Callable[[Point], str]]]:
    yield "nodes", lambda point: f"{point.nodes:,}"
    yield "networks of each", lambda point: f"{point.networks:,}"
    yield "networks, leases at the end", lambda point: f"{point.pools:,}, {point.leases:,}"
    for name in CALLS:
        yield f"{name}, c=1, p50", partial(_time_of, name)
    for name in CALLS:
        yield f"{name}: examined, written", partial(_documents_of, name)
    yield "the three together: oplog", lambda point: BYTES.text(point.cost.oplog_bytes)
    yield "a start", lambda point: SECONDS.text(point.starts.p50)
    yield "memory of the process", lambda point: MEGABYTES.text(point.memory)
    yield "heard while nobody calls", lambda point: f"{point.quiet.bytes_a_second:,.0f} B/s"
    yield "heard for a call of another node", lambda point: BYTES.text(point.day.heard_a_call)
    yield "routes of a node: median, most", _routes_of
    yield "the day: calls", lambda point: f"{point.day.calls:,}"
    yield "processes killed", lambda point: f"{point.day.killed:,}"
    yield "nodes forgotten", lambda point: f"{point.day.forgotten:,}"
    yield "calls refused", lambda point: f"{point.day.refused:,}"
    yield "calls without an answer", lambda point: f"{point.day.unknown:,}"
    yield "**lost, doubled, overlapping**", lambda point: f"**{len(point.problems):,}**"


def _time_of(name: str, point: Point) -> str:
    return _MILLISECONDS.text(point.cost.seconds[name].p50)


def _documents_of(name: str, point: Point) -> str:
    return f"{point.cost.read[name]:.0f}, {point.cost.written[name]:.0f}"


def _routes_of(point: Point) -> str:
    return f"{median(point.routes):.0f}, {max(point.routes):,}"


def _walls(point: Point) -> dict[str, float]:
    """What the text names, reckoned from one point."""
    oplog = point.cost.oplog_bytes * _MANY * _NETWORKS_AN_HOUR / 3600
    return {
        "many": _MANY,
        "an_hour": _NETWORKS_AN_HOUR,
        "oplog_of_one": point.cost.oplog_bytes,
        "oplog": oplog / 1e3,
        "oplog_a_day": oplog * 86_400 / 1e9,
        "share": point.quiet.primary_share,
        "processors": point.quiet.primary_share / point.quiet.followers * _MANY,
        "sockets": _SOCKETS * _MANY,
        "sockets_of_primary": _SOCKETS_OF_PRIMARY * _MANY,
        "routes": sum(point.routes) / len(point.routes) * _MANY,
    }
