"""`make audit`: it never calls well what nobody has looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import audit
import pytest

from tests.bundle.building import ROOT

HASH = f"--hash=sha256:{'0' * 64}"
REQUIREMENTS = f"# packages\nfalcon==4.4.0 \\\n    {HASH} \\\n    {HASH}\ntinydb==4.9.0 {HASH}\n"
PACKAGES = [("falcon", "4.4.0"), ("tinydb", "4.9.0"), ("pytest", "9.2.0")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that say what the plugin is made of."""
    (tmp_path / "rootfs-build").mkdir()
    write_requirements(tmp_path, REQUIREMENTS)
    (tmp_path / "pyproject.toml").write_text(
        '[project.optional-dependencies]\nplugin = ["falcon==4.4.0", "tinydb==4.9.0"]\n'
        'dev = ["docker-pyipam[plugin]", "pytest==9.2.0"]\n'
    )
    return tmp_path


def write_requirements(project: Path, text: str) -> None:
    (project / "rootfs-build/requirements.txt").write_text(text)


def pip_audit(project: Path, **answers: str) -> Path:
    """A program that says this of each service (and 0, as the real one does)."""
    for service, answer in answers.items():
        (project / service).write_text(answer)
    program = project / "pip-audit"
    program.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != --vulnerability-service ]; do shift; done\n'
        f'cat "{project}/$2" || echo "there is no route to $2" >&2\n'
    )
    program.chmod(0o755)
    return program


def answer(**changed: dict[str, Any]) -> str:
    """What a service answers; as far as nothing else is said, that it knows of nothing."""
    entries = [
        changed.get(name, {"vulns": []}) | {"name": name, "version": version}
        for name, version in PACKAGES
    ]
    return json.dumps({"dependencies": entries, "fixes": []})


def failure(project: Path, program: Path) -> str:
    with pytest.raises(SystemExit) as caught:
        audit.main(program, project)
    return str(caught.value)


def test_packages_that_every_service_has_looked_at_pass(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main(pip_audit(project, osv=answer()), project)

    assert capsys.readouterr().out == "3 packages audited by osv: no known vulnerability\n"


def test_where_one_service_cannot_be_asked_another_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main(pip_audit(project, pypi=answer()), project)

    assert capsys.readouterr().out == "3 packages audited by pypi: no known vulnerability\n"


def test_a_known_vulnerability_fails_with_its_name_and_its_cure(project: Path) -> None:
    known = [
        {"id": "PYSEC-1", "fix_versions": ["4.4.1", "4.5.0"], "aliases": []},
        {"id": "PYSEC-2", "fix_versions": [], "aliases": []},
    ]

    assert failure(project, pip_audit(project, osv=answer(falcon={"vulns": known}))) == (
        "make audit: falcon==4.4.0 has PYSEC-1 (fixed in 4.4.1, 4.5.0)\n"
        "make audit: falcon==4.4.0 has PYSEC-2 (not fixed yet)"
    )


def test_without_any_service_it_says_that_nothing_was_audited(project: Path) -> None:
    assert failure(project, pip_audit(project)) == (
        "make audit: nothing was audited, as no service that knows of vulnerabilities could be "
        "asked from here (osv: there is no route to osv; pypi: there is no route to pypi)"
    )


def test_a_package_that_was_skipped_was_not_audited(project: Path) -> None:
    skipped = answer(tinydb={"skip_reason": "not found"})

    assert "pypi: it does not know tinydb)" in failure(project, pip_audit(project, pypi=skipped))


def test_a_package_that_is_missing_in_the_answer_was_not_audited(project: Path) -> None:
    nothing = json.dumps({"dependencies": [], "fixes": []})

    assert "it does not know falcon, pytest, tinydb" in failure(
        project, pip_audit(project, osv=nothing)
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", "No known vulnerabilities found", "{"])
def test_an_answer_that_is_none_is_no_audit(project: Path, text: str) -> None:
    assert "nothing was audited" in failure(project, pip_audit(project, osv=text, pypi=text))


@pytest.mark.parametrize(
    "text",
    [
        REQUIREMENTS.replace(f"tinydb==4.9.0 {HASH}", "tinydb==4.9.0"),
        REQUIREMENTS.replace(f"tinydb==4.9.0 {HASH}", "tinydb==4.9.0 --hash=md5:0"),
    ],
)
def test_a_requirement_without_a_hash_fails(project: Path, text: str) -> None:
    write_requirements(project, text)

    assert "the requirement tinydb==4.9.0 has no hash" in failure(
        project, pip_audit(project, osv=answer())
    )


def test_a_requirement_that_does_not_name_one_version_fails(project: Path) -> None:
    write_requirements(project, REQUIREMENTS.replace("tinydb==", "tinydb>="))

    assert "'tinydb>=4.9.0' does not name one version" in failure(project, pip_audit(project))


def test_requirements_that_are_not_those_of_the_project_fail(project: Path) -> None:
    write_requirements(project, REQUIREMENTS.replace("4.9.0", "4.8.0"))

    assert failure(project, pip_audit(project, osv=answer())) == (
        "make audit: pyproject.toml and requirements.txt do not agree on tinydb==4.8.0, "
        "tinydb==4.9.0"
    )


def test_the_real_files_agree() -> None:
    names = {package.name for package in audit.packages_in(ROOT)}

    assert {"falcon", "waitress", "tinydb", "cerberus", "orjson", "pytest"} <= names


def test_the_auditing_tool_itself_is_pinned_with_hashes() -> None:
    text = (ROOT / "tools/audit-requirements.txt").read_text()

    assert "pip-audit" in {package.name for package in audit.read_requirements(text)}
