"""Audits the third-party packages of the plugin and of its tools: `make audit`.

    audit.py PIP-AUDIT

First it checks the files: every requirement of the plugin must have hashes, and the versions of
pyproject.toml. Then it has the program PIP-AUDIT ask one service after another for known
vulnerabilities, until one has answered for every package. It succeeds only if a service has
answered and knows of none.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICES = ("osv", "pypi")
_SECONDS = 120
_ROOT = Path(__file__).parents[1]
_PINNED = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class AuditFailed(Exception):
    """Why the packages do not pass, in one sentence."""


@dataclass(frozen=True)
class Package:
    """A package in one version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Vulnerability:
    """A vulnerability of a package that a service knows."""

    package: Package
    id: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        cure = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.package} has {self.id} ({cure})"


# How one extra of the project includes the packages of the plugin.
_PLUGIN_EXTRA = "docker-pyipam[plugin]"


def pinned(requirement: str) -> Package:
    """The package of `name==version`. Raises AuditFailed for any other requirement."""
    found = _PINNED.fullmatch(requirement)
    if found is None:
        raise AuditFailed(f"the requirement {requirement!r} does not name one version")
    return Package(found[1].lower(), found[2])


def read_requirements(text: str) -> list[Package]:
    """The packages of a requirements file. Raises AuditFailed if one lacks a version or a hash."""
    packages = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        packages.append(pinned(words[0]))
        if len(words) == 1 or not all(_HASH.fullmatch(word) for word in words[1:]):
            raise AuditFailed(f"the requirement {words[0]} has no hash, or an invalid one")
    return packages


def packages_in(folder: Path) -> list[Package]:
    """The packages of the plugin in this folder, and of the tools around it.

    Raises AuditFailed if the files do not agree.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [pinned(requirement) for requirement in extras["plugin"]]
    inside = read_requirements((folder / "rootfs-build/requirements.txt").read_text())
    differing = set(wanted) ^ set(inside)
    if differing:
        names = ", ".join(sorted(map(str, differing)))
        raise AuditFailed(f"pyproject.toml and requirements.txt do not agree on {names}")
    others = [requirement for name in extras if name != "plugin" for requirement in extras[name]]
    tools = [pinned(requirement) for requirement in others if requirement != _PLUGIN_EXTRA]
    return [*inside, *tools]


def vulnerabilities_of(packages: list[Package], program: Path) -> tuple[str, list[Vulnerability]]:
    """The service that answered for every package, and the vulnerabilities that it knows.

    Raises AuditFailed if none did: then an empty answer would mean nothing.
    """
    reasons = []
    for service in SERVICES:
        try:
            return service, _ask(service, packages, program)
        except AuditFailed as error:
            reasons.append(f"{service}: {error}")
    raise AuditFailed(
        "nothing was audited, as no service that knows of vulnerabilities could be asked from "
        f"here ({'; '.join(reasons)})"
    )


def _ask(service: str, packages: list[Package], program: Path) -> list[Vulnerability]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.writelines(f"{package}\n" for package in packages)
        listing.flush()
        command = [str(program), "--requirement", listing.name, "--no-deps", "--disable-pip"]
        command += ["--vulnerability-service", service, "--format", "json", "--strict"]
        command += ["--progress-spinner", "off", "--timeout", "15"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise AuditFailed(f"no answer within {_SECONDS} s") from None
    return _read_answer(done.stdout, done.stderr, packages)


def _read_answer(answer: str, errors: str, packages: list[Package]) -> list[Vulnerability]:
    # The exit code is of no use: it is 0 even if every package was skipped.
    try:
        entries: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["no answer"])[-1]
        raise AuditFailed(_shortened(last)) from None
    audited = [entry for entry in entries if "vulns" in entry]
    missing = {package.name for package in packages} - {entry["name"] for entry in audited}
    if missing:
        raise AuditFailed(f"it does not know {', '.join(sorted(missing))}")
    return [
        Vulnerability(
            Package(entry["name"], entry["version"]), known["id"], tuple(known["fix_versions"])
        )
        for entry in audited
        for known in entry["vulns"]
    ]


def _shortened(line: str, longest: int = 120) -> str:
    return line if len(line) <= longest else f"{line[:longest]} ..."


def main(program: Path, folder: Path = _ROOT) -> None:
    """Print that there is no problem, or exit with a message that names every problem."""
    try:
        packages = packages_in(folder)
        service, found = vulnerabilities_of(packages, program)
    except AuditFailed as error:
        sys.exit(f"make audit: {error}")
    if found:
        sys.exit("\n".join(f"make audit: {vulnerability}" for vulnerability in found))
    print(f"{len(packages)} packages audited by {service}: no known vulnerability")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
