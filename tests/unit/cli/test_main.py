"""How commands end, the shells' completion, and Docker's own command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pyipam import __version__
from pyipam.cli.main import commands, main, run_as_docker_plugin, without_docker_options
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host, completed

PROGRAM = Path(__file__).parents[3] / "plugin"


def test_an_error_of_the_command_itself_is_a_sentence(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.engine, "connect", lambda: 1 / 0)

    assert host.run("status") == (
        1,
        "",
        "pyipam: failed: ZeroDivisionError: division by zero; please report it with the command\n",
    )


def test_an_interrupted_command_has_the_code_of_a_signal(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host.engine, "connect", interrupt)

    outcome = host.run("status")

    assert (outcome.code, outcome.err.strip()) == (130, "pyipam: interrupted")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "pyipam", "schema"]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()

    assert errors == b""


def _run_in_shell(line: str) -> tuple[int, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROGRAM),
        "PYIPAM": f"{sys.executable} -m pyipam",
    }
    done = subprocess.run(["sh", "-c", line], capture_output=True, env=environment, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["schema", "--help", "completion zsh", "plan --help"])
def test_output_that_cannot_be_written_is_said_to_be(command: str) -> None:
    assert _run_in_shell(f"$PYIPAM {command} > /dev/full") == (
        1,
        "pyipam: refused: standard output cannot be written: No space left on device\n",
    )


def test_output_may_be_closed() -> None:
    assert _run_in_shell("$PYIPAM schema >&-") == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "\udcff\udcfe"),
        ("plan", "\udcff"),
        ("scopes", "--tag", "\udcff"),
        ("leases", "--filter", "subnet=\udcff"),
        ("leases", "--filter", "pool=\udcff"),
        ("pools", "--filter", "label=\udcff"),
        ("history", "\udcff"),
        ("status", "--url", "http://\udcff"),
        ("status", "--url", f"http://{'a' * 64}"),
        ("status", "--url", "http://a..b"),
        ("check", "\udcff"),
        ("reconcile", "--apply", "\udcff"),
        ("restore", "\udcff"),
        ("export", "--store-url", "mongodb://\udcff", "x"),
    ],
)
def test_an_argument_that_is_no_text_is_no_error_of_the_command(
    host: Host, plugin: InProcess, arguments: tuple[str, ...]
) -> None:
    outcome = host.run(*arguments)

    assert "please report" not in outcome.err
    assert outcome.err


def test_the_command_runs_where_the_routes_of_the_host_cannot_be_read() -> None:
    code = (
        "import sys; sys.modules['ctypes'] = None; from pyipam.cli.main import main; "
        "sys.exit(main(['schema']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_says_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: pyipam {name} ")


def test_docker_is_told_what_the_command_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["docker-pyipam", "docker-cli-plugin-metadata"])

    run_as_docker_plugin()

    assert json.loads(capsys.readouterr().out).keys() >= {"SchemaVersion", "Vendor", "Version"}


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        (["pyipam", "status"], {}),
        (["--context", "far", "pyipam", "status"], {"DOCKER_CONTEXT": "far"}),
        (["--host=tcp://far", "-D", "pyipam", "status"], {"DOCKER_HOST": "tcp://far"}),
        (["--config", "/c", "pyipam", "status"], {"DOCKER_CONFIG": "/c"}),
        # Docker, too, lets its option take precedence over the variable.
        (["-H", "tcp://far", "-c", "far", "pyipam", "status"], {"DOCKER_CONTEXT": "far"}),
    ],
)
def test_dockers_own_options_say_which_engine_is_meant(
    given: list[str], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_CONFIG")
    for name in names:
        # So that it is put back afterwards.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    assert without_docker_options(given) == ["status"]
    assert {name: os.environ[name] for name in names if name in os.environ} == variables


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("pyipam sta", ["status"]),
        ("pyipam plan sm", ["small"]),
        ("pyipam plan default+s", ["default+small"]),
        ("pyipam plan --prefix 24 !s", ["!small"]),
        ("pyipam scopes --tag de", ["default"]),
        ("pyipam pools --scope 10.0.1", ["10.0.1.0/24"]),
        ("pyipam pools --filter sub", ["subnet="]),
        ("pyipam leases --filter scope=fd", ["scope=fd00::/32"]),
        ("pyipam completion f", ["fish"]),
        ("pyipam leases --filter kind=g", ["kind=gateway"]),
        ("pyipam pools --filter space=", ["space=local", "space=global"]),
        ("pyipam pools --filter unclaimed=", ["unclaimed=true", "unclaimed=false"]),
    ],
)
def test_values_arecompleted(
    host: Host, plugin: InProcess, monkeypatch: pytest.MonkeyPatch, line: str, values: list[str]
) -> None:
    assert completed(host, monkeypatch, line) == values


def test_nothing_is_completed_and_nothing_said_where_no_plugin_answers(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.engine.is_away = True

    assert completed(host, monkeypatch, "pyipam plan sm") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(host: Host, shell: str) -> None:
    assert "_PYIPAM_COMPLETE" in host.run("completion", shell).out


Words = tuple[str, ...]


def _subcommands(command: click.Command, *path: str) -> Iterator[tuple[Words, click.Command]]:
    """Every command below this one, by the words that name it."""
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            yield (*path, name), subcommand
            yield from _subcommands(subcommand, *path, name)


EVERY_COMMAND = dict(_subcommands(commands))


def test_the_help_lists_every_command_in_a_section_with_a_whole_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(commands.commands)
    assert [line for line in lines if line.startswith("  ") and line.endswith("...")] == []
    assert [line for line in lines if line.endswith(":")] == [
        "Options:",
        "What there is:",
        "One address, one network:",
        "A new schema:",
        "Repairs:",
        "Backup and moving:",
        "This host:",
    ]


@pytest.mark.parametrize("group", ["nodes", "claims", "docker-plugin"])
def test_the_help_of_a_command_lists_those_below_it_with_a_whole_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert main([group, "--help"]) == 0

    assert "..." not in capsys.readouterr().out.partition("Commands:\n")[2]


def test_the_version_of_the_command_is_printed_without_asking_anybody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version"]) == 0

    assert capsys.readouterr().out == f"pyipam {__version__}\n"


@pytest.mark.parametrize("value", ["abc", "1.5"])
def test_what_is_not_a_number_is_named_with_its_option(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit):
        main(["scopes", "--prefix", value])

    assert f"Invalid value for '--prefix': '{value}' is not a valid number.\n" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_an_example_that_it_understands(path: Words) -> None:
    example = re.search(r"Example: .*pyipam ([^>)]+)", str(EVERY_COMMAND[path].epilog))
    assert example is not None
    words = example[1].split()

    assert tuple(words[: len(path)]) == path
    context = commands.make_context("pyipam", [], resilient_parsing=True)
    EVERY_COMMAND[path].make_context(path[-1], words[len(path) :], parent=context)


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_every_option_is_explained_in_a_sentence(path: Words) -> None:
    for option in EVERY_COMMAND[path].params:
        if isinstance(option, click.Option):
            text = option.help or ""

            assert text[:1].isupper(), option.name
            assert text.endswith("."), option.name
