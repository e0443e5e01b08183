"""`pyipam record`: the service on the host that notes which container had which address."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.finding import find_plugin
from pyipam.cli.messages import say
from pyipam.cli.options import surroundings
from pyipam.cli.recording.handing_over import hand_over
from pyipam.cli.recording.recorder import Recorder
from pyipam.cli.refusal import CommandRefused, EngineAway
from pyipam.cli.surroundings import Surroundings
from pyipam.cli.tables import counted, moment

# Names are handed over this long after a change, for all changes of that time.
_HAND_OVER_SECONDS = 1.0


@click.command("record", epilog="Example: sudo pyipam record --once")
@click.option("--plugin", default="", metavar="NAME", help="Which plugin, if there are several.")
@click.option("--once", is_flag=True, help="Record what exists now, and exit.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def record_command(plugin: str, once: bool, quiet: bool) -> None:
    """Note which container has which address, from now on.

    It runs as root until it is stopped, ideally as a service of the host. `history` and `explain`
    then show the names of what is long gone, and the plugin's views the names of what exists.
    """
    around = surroundings()
    engine = around.connect()
    chosen = find_plugin(engine, plugin)
    try:
        recorder = Recorder(around.notes, engine, chosen)
        tell = _say_nothing if quiet else say
        if once:
            _look(around, recorder, plugin, tell)
        else:
            _follow_for_ever(around, recorder, plugin, tell)
    except OSError as error:
        raise CommandRefused(
            f"{error.filename or around.notes}: {error.strerror}; record runs as root, and needs "
            "room there"
        ) from None


def _say_nothing(_message: str) -> None:
    """In place of `say`, where only errors are to be said."""


def _follow_for_ever(
    around: Surroundings, recorder: Recorder, plugin: str, tell: Callable[[str], None]
) -> None:
    while True:
        began = time.time()
        try:
            _look(around, recorder, plugin, tell)
            _follow(around, recorder, plugin, began)
        except EngineAway as error:
            say(f"{error}; what happens until it answers again is recorded then")
            _wait_for(around, recorder)


def _look(
    around: Surroundings, recorder: Recorder, plugin: str, tell: Callable[[str], None]
) -> None:
    """Catch up with what Docker has, and say what was found."""
    before = recorder.latest
    differences = recorder.catch_up()
    _hand_over(around, recorder, plugin)
    if differences:
        since = "" if before is None else f" since {moment(before)}"
        changes = counted(len(differences), "change")
        tell(f"{changes} found{since}; it is not known when each of them happened")


def _follow(around: Surroundings, recorder: Recorder, plugin: str, since: float) -> None:
    """Note events until the engine ends. Raises EngineAway."""
    has_news = False
    for event in _events(recorder.engine, since):
        if event is not None:
            has_news |= recorder.follow(event)
        elif has_news:
            _hand_over(around, recorder, plugin)
            has_news = False
    if has_news:
        _hand_over(around, recorder, plugin)
    raise EngineAway("the Docker engine has stopped")


def _events(engine: Engine, since: float) -> Iterator[dict[str, Any] | None]:
    """The events, and None whenever there has been none for a while. Raises EngineAway."""
    events: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()

    def listen() -> None:
        try:
            for event in engine.events(since):
                events.put(event)
            events.put(None)
        except Exception as error:
            events.put(error)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            event = events.get(timeout=_HAND_OVER_SECONDS)
        except queue.Empty:
            yield None
            continue
        if event is None:
            return
        if isinstance(event, Exception):
            raise event
        yield event


def _wait_for(around: Surroundings, recorder: Recorder) -> None:
    while True:
        time.sleep(around.seconds_to_retry)
        try:
            recorder.engine = around.connect()
        except EngineAway:
            continue
        return


def _hand_over(around: Surroundings, recorder: Recorder, plugin: str) -> None:
    """Hand the names to the plugin, if it is there. That this fails is said, and stops nothing."""
    try:
        # It may have been installed again meanwhile, and then has another folder.
        state = _state_folder(around, recorder.engine, find_plugin(recorder.engine, plugin))
    except CommandRefused:
        return
    try:
        hand_over(state, round(time.time(), 3), recorder.present.values())
    except FileNotFoundError:
        # The plugin was never enabled, or is gone.
        return
    except OSError as error:
        say(f"the names could not be handed to the plugin: {state}: {error.strerror}")


def _state_folder(around: Surroundings, engine: Engine, plugin: Plugin) -> Path:
    """The state folder of a plugin (moby, daemon/pkg/plugin/manager_linux.go, setupNewPlugin)."""
    root = around.docker_root or Path(str(engine.info().get("DockerRootDir") or "/var/lib/docker"))
    return root / "plugins" / plugin.id / "propagated-mount"
