"""The docker client of the user: their engine, context, credentials."""

import json
import os
import platform
import shutil
import subprocess
from typing import Any


class Failure(Exception):
    """Something the user has to know: one sentence, with what would help."""


def docker(*arguments: str) -> str:
    """Run the client and return what it printed; Failure with its message if it fails."""
    if not shutil.which("docker"):
        raise Failure("there is no docker client on the PATH")
    # In a session of its own a Ctrl-C reaches it through us only.
    done = subprocess.run(
        ("docker", *arguments),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if done.returncode:
        message = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
        raise Failure(f"docker {' '.join(arguments[:2])}: {message}")
    return done.stdout


def docker_shown(*arguments: str) -> None:
    """Run the client on the user's own terminal, for what takes long."""
    if subprocess.run(("docker", *arguments), check=False).returncode:
        raise Failure(f"docker {' '.join(arguments[:2])} failed")


def inspect(kind: str, *names: str) -> list[dict[str, Any]]:
    """What `docker KIND inspect` says of these."""
    found: list[dict[str, Any]] = json.loads(docker(kind, "inspect", *names)) if names else []
    return found


def server() -> dict[str, Any]:
    """The engine that answers: `Version`, `Os`, `Arch`, `KernelVersion`."""
    said: dict[str, Any] = json.loads(docker("version", "--format", "{{json .Server}}"))
    return said


def endpoint() -> str:
    """Where the client finds its engine."""
    if os.environ.get("DOCKER_HOST") and not os.environ.get("DOCKER_CONTEXT"):
        return os.environ["DOCKER_HOST"]
    return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()


def is_local(engine: dict[str, Any]) -> bool:
    """Whether the engine sees this machine's files: a UNIX socket, and the same kernel."""
    return endpoint().startswith("unix://") and engine["KernelVersion"] == platform.release()


def plugins() -> dict[str, dict[str, Any]]:
    """All plugins of the engine by their full name."""
    ids = docker("plugin", "ls", "--quiet", "--no-trunc").split()
    return {plugin["Name"]: plugin for plugin in inspect("plugin", *ids)}


def networks_of(drivers: set[str]) -> list[str]:
    """The networks that take their addresses from one of these IPAM drivers."""
    ids = docker("network", "ls", "--quiet", "--no-trunc").split()
    found = inspect("network", *ids)
    return sorted(network["Name"] for network in found if network["IPAM"]["Driver"] in drivers)
