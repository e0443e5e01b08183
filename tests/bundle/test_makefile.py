"""The tasks of the Makefile, as far as they can be seen without an engine."""

import os
import subprocess

import pytest

from tests.bundle.building import ROOT


def _make(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    # The tests may themselves run under make, which hands its own variables down.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, **environment},
    )


@pytest.mark.parametrize(
    "task",
    [
        "help",
        "demo",
        "test",
        "test-fast",
        "install",
        "uninstall",
        "push",
        "bundle",
        "dev",
        "lint",
        "audit",
        "lock",
    ],
)
def test_make_alone_lists_the_task_in_one_line(task: str) -> None:
    listing = _make().stdout.splitlines()

    (line,) = [line for line in listing if line.split()[:2] == ["make", task]]
    assert len(line) <= 120
    assert len(line.split()) > 3


def test_ci_runs_the_tests_as_everyone_does() -> None:
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "exec make test </dev/null"


@pytest.mark.parametrize(
    ("arguments", "environment", "given"),
    [
        ((), {}, ""),
        (("SCHEMA_PATH=/a.json",), {}, "SCHEMA_PATH"),
        ((), {"SCHEMA_PATH": "/a.json"}, "SCHEMA_PATH"),
        (("LOG_LEVEL=debug", "SCHEMA_PATH=/a.json"), {}, "SCHEMA_PATH LOG_LEVEL"),
        # A shell may have a variable of that name for something else.
        ((), {"LOG_LEVEL": "debug", "NODE_NAME": "x"}, ""),
    ],
)
def test_only_settings_that_the_user_named_are_set(
    arguments: tuple[str, ...], environment: dict[str, str], given: str
) -> None:
    done = _make("--dry-run", "install", *arguments, **environment)

    assert f"SETTINGS_GIVEN='{given}'" in done.stdout


@pytest.mark.parametrize("task", ["install", "uninstall", "push"])
@pytest.mark.parametrize("name", ["BOGUS", "log_level", "SCHEMA"])
def test_a_name_that_is_no_setting_is_refused_before_anything_is_done(task: str, name: str) -> None:
    done = _make("--dry-run", task, f"{name}=1", "LOG_LEVEL=debug")

    assert done.returncode == 2
    assert done.stdout == ""
    assert f"nothing was done: there is no setting {name}. The settings are SCHEMA_" in done.stderr


def test_what_make_itself_takes_is_no_unknown_setting() -> None:
    done = _make("--dry-run", "install", "PLUGIN=a/b", "TAG=1", "FORCE=1", "BUNDLE_ROUTE=native")

    assert done.returncode == 0


def test_the_plugin_is_named_by_plugin_and_tag() -> None:
    done = _make("--dry-run", "install", "PLUGIN=registry.test/a/b", "TAG=1.2")

    assert "'registry.test/a/b:1.2'" in done.stdout


@pytest.mark.parametrize(
    ("architecture", "tag", "pushed"),
    [
        ("amd64", "1.2", "1.2"),
        ("amd64", "latest", "latest"),
        ("arm64", "1.2", "1.2-arm64"),
        ("arm64", "latest", "latest-arm64"),
        ("arm64", "1.2-arm64", "1.2-arm64"),
    ],
)
def test_a_pushed_tag_says_the_architecture_and_a_plain_one_is_amd64(
    architecture: str, tag: str, pushed: str
) -> None:
    arguments = (f"ARCH={architecture}", "PLUGIN=registry.test/a/b", f"TAG={tag}")

    done = _make("--dry-run", "push", *arguments)

    assert f" 'registry.test/a/b:{pushed}'\n" in done.stdout


def test_the_bundle_of_another_architecture_has_a_file_of_its_own() -> None:
    own = "arm64" if os.uname().machine == "aarch64" else "amd64"
    other = "amd64" if own == "arm64" else "arm64"

    foreign = _make("--dry-run", "install", f"ARCH={other}").stdout
    assert f"install.py install build/plugin-{other}.tar " in foreign
    for arguments in ((), (f"ARCH={own}",)):
        ours = _make("--dry-run", "install", *arguments).stdout
        assert "install.py install build/plugin.tar " in ours


def test_an_architecture_in_the_environment_changes_nothing() -> None:
    done = _make("--dry-run", "install", ARCH="armhf")

    assert "install.py install build/plugin.tar " in done.stdout


@pytest.mark.parametrize("task", ["install", "uninstall", "push"])
def test_a_task_that_needs_an_engine_says_in_one_sentence_that_none_answers(task: str) -> None:
    done = _make(task, DOCKER_HOST="unix:///nonexistent/docker.sock", DOCKER_CONTEXT="")

    errors = [line for line in done.stderr.splitlines() if line.startswith(f"make {task}:")]
    assert done.returncode
    assert len(errors) == 1
    assert "/nonexistent/docker.sock" in errors[0] or "no docker client" in errors[0]
    assert "Traceback" not in done.stderr
