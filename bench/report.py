"""docs/performance.md: the figures, what they were measured on, and what each row means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bench import machine, mongodb, table
from bench.engine import VERSION
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL
from bench.parts import FLAT
from bench.run import Run
from pyipam.store.tinydb.store import CHECKPOINT_SIZE

_TEXT = """\
# How fast it is

Made by `make bench` on {date}, in {seconds:.0f} s. Run it on a machine of yours: the ratios say
more than the figures, because what is compared was measured in turns in the same run. Each ratio
is the median of the ratios of the turns; a limit that was exceeded reads OVER.

{machine}

{rows}

## What the rows mean

**The floor** is the plugin's own server (waitress on its loop, Falcon, the same socket) with a
handler that does one thing: it appends 100 bytes to a file and waits until they are on the disk
(`fdatasync`), once for all the calls of one poll. It reads no request and decides nothing. The
client is the same for both: one process with precomputed bytes, those that dockerd sends.

A file grows when something is appended to it, and a sync then has its size and its place to write
down, too. The plugin's journal does not grow: it writes over zeros that were brought to the disk
beforehand. And it is written as soon as the last call of a poll is decided, so that the disk is at
it while the answer is made. These two pay for most of what the plugin does above its floor. **A
floor with room** writes over zeros, too, {room} MiB as a journal has, and begins again at their
start when they are full. It stands beside the plugin at c=32 and in the table of stages as well.

- **RequestAddress, RequestPool, c=1.** One call at a time over one connection. What a turn took
  is given back after it, so that what is held stays the same. *Nothing held*: a plan with one
  empty pool. The leases are in one /12 pool, the pools in one scope.
- **p99 in a checkpoint.** The journal is filled until the next commits bring the state into its
  TinyDB files; counted are the calls from the moment the checkpoint begins until it has ended.
  The p99 outside says how much of that is the machine's own.
- **c=32.** Thirty-two connections, each with the next request as soon as it has its answer.
- **Load.** From opening the state folder until the first call could be answered, in a fresh
  process, files in the page cache; all pools in one scope, so in one TinyDB file. The memory is
  the most that the whole program ever held (VmHWM).
- **Free address, free block, overlap check.** The structures alone, in one process: a hundred
  entries at random are given back and the lowest ones taken instead; the time is that of one step.
  Ten thousand times as many entries may cost {flat:.0f} times as much: that is what the
  processor's caches make of it. Memory counts everything that one entry needs in the structure.
  Then the same with a hundred entries in much space and in little, and the memory of a structure
  that holds nothing.
- **Plain TinyDB.** The same server, with a handler that inserts a document for each lease and
  searches nothing. *JSONStorage* is TinyDB's own; a crash while it writes leaves half a file.
  *Replaced file* writes the file beside, syncs and renames it, as one must.
- **MongoDB.** The plugin with STORE_URL, over three members of a real replica set on the loopback
  interface of the same machine, each with its own journal on the same disk; a majority of them has
  written an answer down before it is given. Addresses of one /12 pool, /24 blocks of one /8, over
  the plugin's socket. metal-stack/go-ipam publishes {addresses:.0f} acquired addresses and
  {blocks:.0f} acquired child prefixes a second for its own MongoDB backend, called as a Go library
  on a machine of its authors: the ratio compares different machines.
- **docker ...** In a private engine {engine}, the commands as a user types them, with either
  driver in turns, {pairs} times each; a container runs `true`.
- **docker plugin enable.** dockerd itself waits half a second before it connects.

## Where the time goes

One call at a time, as above: the median of each stage inside of the server, with a clock around
each, which costs about half a microsecond. A thread that comes back from the disk or from a socket
finds the processor's caches full of somebody else: the core decides in half the time where nothing
else runs. The last two rows but one are about what nobody waits for, unless the next call comes at
once, and what happens outside of the server's code.

{stages}

![Finding what is free](performance-structures.svg)

![RequestAddress beside plain TinyDB](performance-tinydb.svg)

## Measuring again

    make bench                  # all of it; under five minutes on two processors
    BENCH_QUICK=1 make bench    # in small: only to see that it works; this page stays as it is

It needs what `make test` needs (root, for the private engine), and a machine that does nothing
else meanwhile.
"""


def write(folder: Path, run: Run, seconds: float) -> Path:
    """Write the page and its pictures; the page."""
    for name, picture in run.pictures.items():
        (folder / f"performance-{name}.svg").write_text(picture)
    page = folder / "performance.md"
    page.write_text(
        _TEXT.format(
            date=datetime.now(UTC).date().isoformat(),
            seconds=seconds,
            machine="\n".join(f"- {line}" for line in machine.described(run.folder)),
            stages=run.stages,
            rows=table.markdown(run.rows),
            flat=FLAT,
            room=CHECKPOINT_SIZE >> 20,
            addresses=mongodb.PUBLISHED[REQUEST_ADDRESS],
            blocks=mongodb.PUBLISHED[REQUEST_POOL],
            engine=VERSION,
            pairs=run.sizes.pairs,
        )
    )
    return page
