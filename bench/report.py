"""docs/performance.md: the figures, what they were measured on, and what each row means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, mongodb, scale_report, table
from bench.engine import VERSION
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL
from bench.parts import FLAT
from bench.run import Run
from pyipam.store.tinydb.store import CHECKPOINT_SIZE_BYTES

_TEXT = """\
# Performance

Written by `make bench` on {date}, in {seconds:.0f} s. Run it on your own machine: the ratios say
more than the figures, because the things that are compared are measured in turns in the same run.
Each ratio is the median of the ratios of the turns. OVER marks a limit that is exceeded.

{machine}

{rows}

## What the rows mean

**The floor** is the plugin's own server (waitress on its loop, Falcon, the same socket) with a
handler that does only one thing: it appends 100 bytes to a file and waits until they are on the
disk (`fdatasync`), once for all the calls of one poll. It does not read the request and decides
nothing. Both are measured with the same client: one process that sends prepared bytes, those that
dockerd sends.

When data is appended to a file, the file grows, and a sync must also write its new size and place.
The plugin's journal does not grow: it is written over zeros that were brought to the disk in
advance. It is also written as soon as the last call of a poll is decided, so that the disk works
while the answer is made. These two make up for most of what the plugin does above its floor. **A
floor with room** writes over zeros too, {room} MiB like a journal, and starts over when they are
full. It is also shown at c=32 and in the table of stages.

- **RequestAddress, RequestPool, c=1.** One call at a time over one connection, all with the same
  body, as dockerd sends it for networks with the same options and for the containers of a network.
  The plugin remembers what it read from the latest bodies; a new one takes some 10 µs longer. What
  a turn has taken is released after it, so that the amount held stays the same. *Nothing held* is a
  plan with one empty pool. The leases are in one /12 pool, the pools in one scope.
- **After 200 ms of silence.** The same call, when nothing has been called before: that is how
  people call. The processor has gone to sleep, and its caches hold something else.
- **p99 in a checkpoint.** The journal is filled until the next commits start a checkpoint, which
  brings the state into its TinyDB files. The calls from the beginning of the checkpoint to its end
  are counted. The p99 outside of it shows how much of that is due to the machine.
- **The page.** In Debian's chromium, over 10,000 pools and 100,000 leases, as `pyipam ui` serves
  it: from the click until the browser has drawn what was asked for, and the first picture with
  nothing of the page in the browser's cache. Plugin and browser share the machine.
- **c=32.** Thirty-two connections, each of which sends its next request as soon as it has its
  answer.
- **Load.** From opening the state folder until the first call could be answered, in a fresh
  process, with the files in the page cache. All pools are in one scope, so in one TinyDB file. The
  memory is the most that the whole program ever used (VmHWM).
- **Free address, free block, overlap check.** The data structures alone, in one process: a hundred
  random entries are released and the lowest ones are taken instead. The time is that of one step.
  With ten thousand times as many entries it may be {flat:.0f} times as long, because of the
  processor's caches. The memory counts everything that one entry needs in the structure. The last
  rows compare a hundred entries in a large space and in a small one, and the memory of an empty
  structure.
- **Aggregates.** The core alone, over a store in memory, in a scope with `node_prefix`: the
  processor time of a call on a node that has a thousand aggregates with 16 networks in each, beside
  a thousand other nodes with three each, against a node that is alone and has one.
  `python -m bench.aggregates` measures more sizes, and a start.
- **Refusals.** The core alone, over a store in memory: the processor time of the refusal of a
  network, of which none of a thousand scopes has a block, so that each of them is named with its
  reason. Nothing else is given out meanwhile. The longest of the first and the median of five more.
  `python -m bench.refusals` measures other numbers of scopes.
- **Plain TinyDB.** The same server, with a handler that inserts a document for each lease and
  searches nothing. *JSONStorage* is TinyDB's own storage; a crash during a write leaves half a
  file. *Replaced file* writes a new file, syncs and renames it, which is safe.
- **MongoDB.** The plugin with STORE_URL and a replica set of three members, on the loopback
  interface of the same machine, each with its own journal on the same disk. A majority of them has
  written a change to its journal before the call is answered. Addresses are from one /12 pool, /24
  blocks from one /8, over the plugin's socket. metal-stack/go-ipam publishes {addresses:.0f}
  acquired addresses and {blocks:.0f} acquired child prefixes a second for its own MongoDB backend,
  called as a Go library on its authors' machine, so this ratio compares different machines.
- **Nodes.** One, two, four and eight programs over one such plan, all on the same machine with the
  members, each of which sends its next call as soon as it has the answer: what they make together,
  against one of them, and how long their calls take. Blocks are all from one scope, addresses from
  a pool of each node. *One majority write* is a document of the same size, written by MongoDB's
  client for Python in turns with the calls: the least that any program would need. Behind the same
  server, that write is all that a call does: the rest is what the plugin decides. go-ipam's
  figures, above, are those that it publishes for one process. `python -m bench.nodes 1 2 4 8`
  measures this alone.
- **docker ...** The commands as a user types them, in a private engine {engine}, with both drivers
  in turns, {pairs} times each. The container runs `true`.
- **docker plugin enable.** dockerd itself waits half a second before it connects.

## Where the time goes

One call at a time, as above: the median of each stage inside the server, measured with a clock
around each, which costs about half a microsecond. After a thread has waited for the disk or a
socket, the processor's caches hold other data: if nothing else runs, the core decides in half the
time. The log is put into words after the answer, and delays nobody unless the next call comes at
once. The client's row is what happens outside the server's code.

{stages}

![Finding what is free](performance-structures.svg)

![RequestAddress beside plain TinyDB](performance-tinydb.svg)

{many_nodes}## Measuring again

    make bench                  # everything; takes a few minutes on two processors
    make bench SCALE=1          # and a thousand nodes for a day; takes twenty minutes more
    BENCH_QUICK=1 make bench    # small sizes, to see that it works; does not change this page

It needs the same as `make test` (root, for the private engine), and a machine that does nothing
else meanwhile.
"""


def write(folder: Path, run: Run, seconds: float) -> Path:
    """Write the page and its pictures; the page."""
    _write_pictures(folder, run.pictures)
    page = folder / "performance.md"
    before = scale_report.of_page(page.read_text()) if page.exists() else ""
    page.write_text(
        _TEXT.format(
            date=datetime.now(UTC).date().isoformat(),
            seconds=seconds,
            machine="\n".join(f"- {line}" for line in machine.described(run.folder)),
            stages=run.stages,
            many_nodes=run.many_nodes or before,
            rows=table.markdown(run.rows),
            flat=FLAT,
            room=CHECKPOINT_SIZE_BYTES >> 20,
            addresses=mongodb.PUBLISHED[REQUEST_ADDRESS],
            blocks=mongodb.PUBLISHED[REQUEST_POOL],
            engine=VERSION,
            pairs=run.sizes.pairs,
        )
    )
    return page


def write_many_nodes(folder: Path, section: str, pictures: Mapping[str, str]) -> Path:
    """Write the section on many nodes into the page, and its pictures; the page."""
    _write_pictures(folder, pictures)
    page = folder / "performance.md"
    page.write_text(scale_report.put_into(page.read_text(), section))
    return page


def _write_pictures(folder: Path, pictures: Mapping[str, str]) -> None:
    for name, picture in pictures.items():
        (folder / f"performance-{name}.svg").write_text(picture)
