"""A host for the command, and a plugin on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyipam.store.memory import MemoryStore
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import SCHEMA


@pytest.fixture
def host(capsys: pytest.CaptureFixture[str]) -> Iterator[Host]:
    """A host without a plugin that answers. Its folder has a short name, as sockets need one."""
    with tempfile.TemporaryDirectory(prefix="pyipam-") as folder:
        yield Host(Path(folder), capsys)


@pytest.fixture
def schema() -> str:
    """The schema of the plugin. A module may have another one."""
    return SCHEMA


@pytest.fixture
def node() -> str:
    """The NODE_NAME of the plugin. A module may have another one."""
    return ""


@pytest.fixture
def plugin(host: Host, schema: str, node: str, tmp_path: Path) -> Iterator[InProcess]:
    """A plugin that holds nothing, with the aliases pyipam and web, and answers on that host."""
    plugin = InProcess(tmp_path, schema, MemoryStore(), aliases=("pyipam", "web"), node=node)

    def answers(path: str) -> tuple[int, bytes]:
        reply = plugin.answer("GET", path)
        return reply.status, reply.body

    def posts(path: str, body: bytes) -> tuple[int, bytes]:
        reply = plugin.send("POST", path, body)
        return reply.status, reply.body

    with host.answering(answers, posts):
        yield plugin
    plugin.stop()
