"""The server's parts for a store across a network."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from waitress.adjustments import Adjustments

from pyipam.runtime.plugin import Plugin
from pyipam.serving.loop import _CallsAside, _path, _Server
from pyipam.store.errors import Conflict
from tests.support.in_process import InProcess
from tests.unit.shared_plan import NodeStore, SharedPlan


@pytest.fixture
def told_to_end() -> Iterator[threading.Event]:
    """Set when this process is told to end, which it does not."""
    told = threading.Event()
    former = signal.signal(signal.SIGTERM, lambda *_: told.set())
    yield told
    signal.signal(signal.SIGTERM, former)


def fails(_calls: Sequence[Callable[[], None]], _within: float) -> None:
    raise KeyError("a fault")


def test_a_fault_in_the_thread_of_the_calls_ends_the_process_so_that_it_is_started_again(
    told_to_end: threading.Event,
) -> None:
    plugin = SimpleNamespace(wait_until_tried=lambda _seconds: None, commit=fails)
    calls = _CallsAside(cast(Plugin, plugin))
    channel: Any = SimpleNamespace(
        requests=[SimpleNamespace(error=None, path="/IpamDriver.RequestPool")]
    )

    calls.add_task(channel)

    # Asked now and then: a signal that another thread takes wakes nobody who waits.
    assert any(told_to_end.wait(0.05) for _ in range(200))
    calls.shutdown()


def test_a_conflict_is_no_answer_but_has_all_calls_of_the_commit_decided_anew(
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


def test_a_call_that_is_refused_without_the_store_is_noted_while_another_call_waits_for_it(
    tmp_path: Path,
) -> None:
    store = NodeStore(SharedPlan(), "a")
    plugin = InProcess(tmp_path, '{"schema_version": 1, "scopes": []}', store)
    store.answers.clear()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(plugin.call, "GetCapabilities")
        assert store.is_asked.wait(20)
        reply = plugin.answer("POST", "/IpamDriver.ReleaseAddress")
        noted = [refusal.call for refusal in plugin.plugin.refusals]
        store.answers.set()
        assert waiting.result().status == 200
    assert (reply.status, noted) == (400, ["IpamDriver.ReleaseAddress"])


def test_an_announcement_that_comes_while_the_state_becomes_known_is_not_lost(
    tmp_path: Path,
) -> None:
    plugin = InProcess(tmp_path, '{"schema_version": 1, "scopes": []}').plugin
    assert plugin.ipam is not None
    # Known already, and not said yet.
    plugin.failure = plugin._reading
    plugin.announce("ingress", "engine-1")
    plugin.failure = None

    plugin.commit(())

    assert plugin.ipam.epoch("ingress", "local") == 1
    plugin.close()


@pytest.mark.parametrize(
    ("path", "known"),
    [("//v1/status", "/v1/status"), ("/v1/status", "/v1/status"), ("", ""), ("///", "/")],
)
def test_a_path_is_taken_as_the_application_gets_it(path: str, known: str) -> None:
    assert _path(SimpleNamespace(path=path)) == known


@pytest.mark.parametrize(("count", "closed"), [(2, 0), (250, 0), (251, 251)])
def test_idle_connections_are_closed_only_where_they_are_many(count: int, closed: int) -> None:
    server = _Server.__new__(_Server)
    server.adj = Adjustments(listen="")
    server.active_channels = {
        number: SimpleNamespace(requests=[], last_activity=0.0, will_close=False)
        for number in range(count)
    }

    server.maintenance(1e9)

    assert sum(channel.will_close for channel in server.active_channels.values()) == closed
