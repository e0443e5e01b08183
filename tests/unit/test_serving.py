"""The calls of one poll as one commit, and the connections that are kept."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyipam.runtime.route_news import RouteNews
from pyipam.serving.batches import Committer, Dispatcher, ThreadDispatcher
from pyipam.serving.server import Server
from pyipam.store.errors import Conflict
from pyipam.store.records import Record
from tests.support.failing_store import FailingStore
from tests.support.in_process import InProcess
from tests.support.shared_plan import NodeStore, SharedPlan


@pytest.fixture
def told_to_end() -> Iterator[threading.Event]:
    """Set when this process gets SIGTERM, which does not end it."""
    told = threading.Event()
    former = signal.signal(signal.SIGTERM, lambda *_: told.set())
    yield told
    signal.signal(signal.SIGTERM, former)


def fails(_calls: Sequence[Callable[[], None]], _within: float) -> None:
    raise KeyError("a fault")


def test_an_internal_error_in_the_thread_of_the_calls_ends_the_process_to_have_it_restarted(
    told_to_end: threading.Event,
) -> None:
    committer = SimpleNamespace(
        wait_until_loaded=lambda _seconds: None, commit=fails, route_news=RouteNews()
    )
    dispatcher = ThreadDispatcher(cast(Committer, committer))
    channel: Any = SimpleNamespace(
        path="/IpamDriver.RequestPool",
        is_view=False,
        is_abandoned=lambda: False,
        prepare=lambda: None,
    )

    dispatcher.add_task(channel)

    # In short waits: a signal that arrives in another thread does not end a wait.
    assert any(told_to_end.wait(0.05) for _ in range(1200))
    dispatcher.shutdown()


def test_a_conflict_is_not_an_answer_but_has_all_calls_of_the_commit_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = InProcess(
        tmp_path, '{"schema_version": 1, "scopes": []}', NodeStore(SharedPlan(), "a")
    )
    conflict = Conflict("others were faster", ())

    def conflicting(_driver: str, _engine: str) -> None:
        raise conflict

    monkeypatch.setattr(plugin.plugin.ipam, "begin_epoch", conflicting)

    with pytest.raises(Conflict):
        plugin.call("GetCapabilities")


def test_a_refusal_that_needs_no_store_is_noted_while_another_call_waits_for_the_store(
    tmp_path: Path,
) -> None:
    store = NodeStore(SharedPlan(), "a")
    plugin = InProcess(tmp_path, '{"schema_version": 1, "scopes": []}', store)
    store.answers.clear()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(plugin.call, "GetCapabilities")
        assert store.is_asked.wait(60)
        reply = plugin.answer("POST", "/IpamDriver.ReleaseAddress")
        noted = [refusal.call for refusal in plugin.plugin.refusals]
        store.answers.set()
        assert waiting.result().status == 200
    assert (reply.status, noted) == (400, ["IpamDriver.ReleaseAddress"])


class AnnouncedWhileLoading(FailingStore):
    """A store in which an engine announces itself while the plan is being loaded from it."""

    def __init__(self) -> None:
        super().__init__()
        self.announce: Callable[[], object] = lambda: None

    def load(self) -> list[Record]:
        self.announce()
        return super().load()


@pytest.fixture
def store() -> AnnouncedWhileLoading:
    return AnnouncedWhileLoading()


@pytest.fixture
def announced_while_loading(tmp_path: Path, store: AnnouncedWhileLoading) -> Iterator[InProcess]:
    running = InProcess(tmp_path, '{"schema_version": 1, "scopes": []}', store)
    store.announce = lambda: running.plugin.commit(
        [lambda: running.plugin.announce("ingress", "engine-1")]
    )
    yield running
    running.stop()


def test_an_announcement_that_comes_while_the_plan_is_loaded_is_not_lost(
    announced_while_loading: InProcess,
) -> None:
    announced_while_loading.start()

    assert announced_while_loading.plugin.ipam.epoch("ingress", "local") == 1


def test_an_early_announcement_that_cannot_be_stored_takes_effect_with_the_next_commit(
    announced_while_loading: InProcess, store: AnnouncedWhileLoading
) -> None:
    store.fail = True
    announced_while_loading.start()
    store.fail = False

    announced_while_loading.plugin.commit(())

    assert announced_while_loading.plugin.ipam.epoch("ingress", "local") == 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on a socket that nobody has connected to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "driver.sock"))
    server = Server.on_socket(lambda *_: [], listener, {}, cast(Dispatcher, SimpleNamespace()), {})
    yield server
    server.close()


@pytest.mark.parametrize(("count", "closed"), [(2, 0), (250, 0), (251, 251)])
def test_idle_connections_are_closed_only_if_many_are_open(
    server: Server, count: int, closed: int
) -> None:
    channels = [
        SimpleNamespace(requests=[], last_activity=0.0, will_close=False) for _ in range(count)
    ]
    server.active_channels.update(enumerate(channels))

    server.maintenance(1e9)

    assert sum(channel.will_close for channel in channels) == closed
