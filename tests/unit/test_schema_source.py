"""Which schema is in force: the mounted one, the remembered one or the default; and edits."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyipam.plan.schema_source import MAX_SIZE_BYTES, MountedFile, SchemaInForce, SchemaSource


def schema(*networks: str) -> str:
    """A schema with a /24 scope for each network."""
    scopes = [{"network": network, "prefix": 24, "child_prefix": 28} for network in networks]
    return json.dumps({"schema_version": 1, "scopes": scopes})


DEFAULT = schema("10.0.0.0")
MOUNTED = schema("10.1.0.0")
EDITED = schema("10.2.0.0", "10.3.0.0")
BAD = '{"schema_version": 1, "scopes": [{"network": "x", "prefix": 8}]}'
BAD_ERROR = '$.scopes[0].network: "x" is not an IPv4 or IPv6 address'


def scopes_of(running: SchemaInForce) -> list[str]:
    return [str(scope.network.network_address) for scope in running.tree]


def errors_of(running: SchemaInForce) -> list[str]:
    return [str(error) for error in running.errors]


@dataclass(frozen=True)
class Host:
    """The files that the plugin finds."""

    mounted: Path
    remembered: Path
    default: Path

    def source(self) -> SchemaSource:
        """What a plugin that starts now looks at."""
        return SchemaSource(MountedFile(self.mounted), self.remembered, self.default)

    def start(self) -> SchemaInForce:
        return self.source().start()

    def write(self, text: str) -> None:
        """Edit the mounted file in place."""
        before = self.mounted.stat().st_mtime_ns if self.mounted.exists() else 0
        self.mounted.write_text(text)
        # The clock of the file system may stand still between two edits of a test.
        now = max(self.mounted.stat().st_mtime_ns, before + 1)
        os.utime(self.mounted, ns=(now, now))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host on which nothing is mounted and nothing is remembered yet."""
    host = Host(tmp_path / "mounted.json", tmp_path / "remembered.json", tmp_path / "default.json")
    host.default.write_text(DEFAULT)
    return host


def after_edit(source: SchemaSource, running: SchemaInForce) -> SchemaInForce:
    """What is in force once the edit has been noticed."""
    assert source.changed(running) is None, "an edit counts only at the second look"
    changed = source.changed(running)
    assert changed is not None
    return changed


# At the start


def test_the_default_schema_is_in_force_if_nothing_was_ever_mounted(host: Host) -> None:
    running = host.start()

    assert running.origin == "default"
    assert scopes_of(running) == ["10.0.0.0"]
    assert not running.new_pools_refused


def test_a_mounted_schema_is_in_force(host: Host) -> None:
    host.write(MOUNTED)

    running = host.start()

    assert running.origin == "mount"
    assert scopes_of(running) == ["10.1.0.0"]
    assert running.errors == ()
    assert running.warnings == ()


def test_a_good_mounted_schema_is_remembered_unchanged(host: Host) -> None:
    host.write(MOUNTED + "\n ")

    host.start()

    assert host.remembered.read_text() == MOUNTED + "\n "


@pytest.mark.parametrize("content", [None, "", " \n\t"], ids=["absent", "empty", "blank"])
def test_the_remembered_schema_is_in_force_without_a_mount(host: Host, content: str | None) -> None:
    host.write(MOUNTED)
    host.start()

    host.mounted.unlink()
    if content is not None:
        host.write(content)
    running = host.start()

    assert running.origin == "remembered"
    assert scopes_of(running) == ["10.1.0.0"]
    assert not running.new_pools_refused


def test_dev_null_counts_as_not_mounted(host: Host) -> None:
    running = SchemaSource(MountedFile(Path("/dev/null")), host.remembered, host.default).start()

    assert running.origin == "default"


def test_a_folder_counts_as_not_mounted(host: Host) -> None:
    host.mounted.mkdir()

    assert host.start().origin == "default"


def test_a_byte_order_mark_is_ignored(host: Host) -> None:
    host.mounted.write_bytes(b"\xef\xbb\xbf" + MOUNTED.encode())

    assert scopes_of(host.start()) == ["10.1.0.0"]
    host.mounted.unlink()
    assert scopes_of(host.start()) == ["10.1.0.0"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(BAD.encode(), BAD_ERROR, id="errors"),
        pytest.param(b"{", "$: this is not valid JSON: ", id="not-json"),
        pytest.param(b'"\xff"', "$: this is not valid UTF-8: byte 1 cannot", id="not-utf-8"),
        pytest.param(
            b" " * (MAX_SIZE_BYTES + 1),
            f"$: the file is larger than {MAX_SIZE_BYTES} bytes",
            id="too-large",
        ),
    ],
)
def test_a_bad_schema_refuses_new_pools_and_says_why(
    host: Host, content: bytes, error: str
) -> None:
    host.mounted.write_bytes(content)

    running = host.start()

    assert running.origin == "default"
    assert running.new_pools_refused
    (found,) = errors_of(running)
    assert found.startswith(error)


def test_beside_a_bad_schema_the_remembered_one_is_in_force_for_existing_pools(host: Host) -> None:
    host.write(MOUNTED)
    host.start()
    host.write(BAD)

    running = host.start()

    assert scopes_of(running) == ["10.1.0.0"]
    assert running.origin == "remembered"
    assert running.new_pools_refused


def test_a_bad_schema_is_not_remembered(host: Host) -> None:
    host.write(MOUNTED)
    host.start()
    host.write(BAD)
    host.start()

    assert host.remembered.read_text() == MOUNTED


@pytest.mark.parametrize("content", [BAD.encode(), b"\xff", b""], ids=["bad", "not-utf-8", "empty"])
def test_a_remembered_schema_that_cannot_be_read_refuses_new_pools(
    host: Host, content: bytes
) -> None:
    host.remembered.write_bytes(content)

    running = host.start()

    assert running.origin == "remembered"
    assert running.new_pools_refused
    assert running.errors
    assert scopes_of(running) == []


def test_a_missing_default_schema_refuses_new_pools(host: Host) -> None:
    host.default.unlink()

    running = host.start()

    assert running.origin == "default"
    assert running.new_pools_refused
    assert errors_of(running) == ["$: the file cannot be read: No such file or directory"]


def test_a_schema_that_cannot_be_remembered_is_in_force_with_a_warning(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write(MOUNTED)
    disk_is_full(monkeypatch)

    running = host.start()

    assert scopes_of(running) == ["10.1.0.0"]
    assert not running.new_pools_refused
    (warning,) = running.warnings
    assert "could not be remembered" in warning
    assert "No space left on device" in warning


def test_a_schema_that_is_remembered_already_is_not_written_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write(MOUNTED)
    host.start()
    disk_is_full(monkeypatch)

    assert host.start().warnings == ()


def disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_descriptor: int, _content: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)


# While it runs


def test_nothing_changes_without_an_edit(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()

    assert [source.changed(running) for _ in range(3)] == [None, None, None]


def test_nothing_changes_if_nothing_is_mounted(host: Host) -> None:
    source = host.source()
    running = source.start()
    host.write(MOUNTED)

    assert [source.changed(running) for _ in range(3)] == [None, None, None]


def test_an_edit_in_place_comes_into_force_and_is_remembered(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()

    host.write(EDITED)
    running = after_edit(source, running)

    assert running.origin == "mount"
    assert scopes_of(running) == ["10.2.0.0", "10.3.0.0"]
    assert host.remembered.read_text() == EDITED
    assert source.changed(running) is None


def test_an_edit_between_opening_the_file_and_reading_it_is_not_lost(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    host.write(EDITED)
    running = source.start()

    assert scopes_of(running) == ["10.2.0.0", "10.3.0.0"]


def test_a_file_that_is_still_being_written_is_not_read(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()

    for written in (10, 30, 50):
        host.write(EDITED[:written])
        assert source.changed(running) is None
    host.write(EDITED)

    assert scopes_of(after_edit(source, running)) == ["10.2.0.0", "10.3.0.0"]


def test_a_first_schema_may_be_written_into_an_empty_file(host: Host) -> None:
    host.write("")
    source = host.source()
    running = source.start()
    assert running.origin == "default"

    host.write(MOUNTED)
    running = after_edit(source, running)

    assert running.origin == "mount"
    assert scopes_of(running) == ["10.1.0.0"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (BAD, BAD_ERROR),
        ("", "$: the file is empty"),
        (" \n", "$: the file is empty"),
        ("{", "$: this is not valid JSON: "),
    ],
)
def test_a_bad_edit_leaves_the_last_good_schema_in_force_and_shows_the_errors(
    host: Host, content: str, error: str
) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()

    host.write(content)
    edited = after_edit(source, running)

    assert edited.tree is running.tree
    assert not edited.new_pools_refused
    (found,) = errors_of(edited)
    assert found.startswith(error)
    assert host.remembered.read_text() == MOUNTED


def test_fixing_a_bad_edit_clears_the_errors(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()
    host.write(BAD)
    running = after_edit(source, running)

    host.write(EDITED)
    running = after_edit(source, running)

    assert scopes_of(running) == ["10.2.0.0", "10.3.0.0"]
    assert running.errors == ()


def test_fixing_a_schema_that_was_bad_at_the_start_allows_new_pools(host: Host) -> None:
    host.write(BAD)
    source = host.source()
    running = source.start()

    host.write(MOUNTED)
    running = after_edit(source, running)

    assert not running.new_pools_refused
    assert running.errors == ()
    assert scopes_of(running) == ["10.1.0.0"]


def test_after_a_bad_start_another_bad_edit_still_refuses_new_pools(
    host: Host,
) -> None:
    host.write(BAD)
    source = host.source()
    running = source.start()

    host.write("[")
    running = after_edit(source, running)

    assert running.new_pools_refused
    assert errors_of(running)[0].startswith("$: this is not valid JSON")


def test_an_edit_that_cannot_be_remembered_comes_into_force_with_a_warning(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()
    host.write(EDITED)
    disk_is_full(monkeypatch)

    running = after_edit(source, running)

    assert scopes_of(running) == ["10.2.0.0", "10.3.0.0"]
    assert ["could not be remembered" in warning for warning in running.warnings] == [True]


def test_the_warning_disappears_when_the_next_edit_can_be_remembered(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write(MOUNTED)
    with monkeypatch.context() as patch:
        disk_is_full(patch)
        source = host.source()
        running = source.start()

    host.write(EDITED)

    assert after_edit(source, running).warnings == ()


def test_a_file_that_was_replaced_by_rename_is_reported_once(host: Host) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()

    other = host.mounted.with_name("other.json")
    other.write_text(EDITED)
    other.rename(host.mounted)
    changed = source.changed(running)

    assert changed is not None
    assert scopes_of(changed) == ["10.1.0.0"]
    (warning,) = changed.warnings
    assert "was replaced by another one on the host" in warning
    assert "Disable and enable the plugin" in warning
    assert source.changed(changed) is None


def test_after_a_restart_the_file_that_replaced_the_mounted_one_is_read(host: Host) -> None:
    host.write(MOUNTED)
    host.start()
    other = host.mounted.with_name("other.json")
    other.write_text(EDITED)
    other.rename(host.mounted)

    running = host.start()

    assert scopes_of(running) == ["10.2.0.0", "10.3.0.0"]
    assert running.warnings == ()


# A file that cannot be read


def test_a_file_that_cannot_be_opened_refuses_new_pools(host: Host) -> None:
    host.mounted.symlink_to(host.mounted)

    running = host.start()

    assert errors_of(running) == ["$: the file cannot be read: Too many levels of symbolic links"]
    assert running.new_pools_refused
    assert not MountedFile(host.mounted).was_replaced()


def test_an_edit_is_seen_after_a_moment_in_which_the_file_could_not_be_looked_at(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write(MOUNTED)
    source = host.source()
    running = source.start()
    with monkeypatch.context() as patch:
        patch.setattr("os.fstat", gone)
        assert source.changed(running) is None
    host.write(EDITED)

    assert source.changed(running) is None
    edited = source.changed(running)

    assert edited is not None
    assert scopes_of(edited) == ["10.2.0.0", "10.3.0.0"]


def gone(_descriptor: int) -> os.stat_result:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def test_a_scope_that_could_give_a_swarm_what_docker_uses_is_warned_about(tmp_path: Path) -> None:
    host = Host(tmp_path / "mounted", tmp_path / "remembered", tmp_path / "default")
    host.default.write_text(DEFAULT)
    (warning,) = host.start().warnings
    assert warning.startswith("scope 10.0.0.0/24 can give 10.0.0.0/28 to a network of a swarm")
    host.write(MOUNTED)
    source = host.source()
    running = source.start()
    assert running.warnings == ()
    host.write(DEFAULT)
    source.changed(running)
    edited = source.changed(running)

    assert edited is not None
    assert edited.warnings == (warning,)
    assert source.changed(edited) is None
