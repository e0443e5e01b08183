"""`make lock`: the lock files follow from what pyproject.toml pins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import lock
import pytest
from packaging.utils import canonicalize_name

from tests.bundle.building import ROOT

LOCKS = (lock.PLUGIN, lock.AUDIT)
_REQUIREMENT = re.compile(r"^(\S+==\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def _read(text: str) -> tuple[list[str], dict[str, set[str]]]:
    """The requirements of a lock file, and their digests by name."""
    found: Mapping[str, str] = dict(_REQUIREMENT.findall(text))
    digests: dict[str, set[str]] = {
        canonicalize_name(requirement.partition("==")[0]): set(re.findall("[0-9a-f]{64}", options))
        for requirement, options in found.items()
    }
    return list(found), digests


def test_a_package_is_written_with_the_digest_of_each_of_its_wheels() -> None:
    text = lock.render(
        "What it is for.",
        ["one==1.0", "two_parts==2"],
        {"one": {"b" * 64, "a" * 64}, "two-parts": {"c" * 64}},
    )

    assert text.startswith("# What it is for.\n")
    assert text.endswith(
        f"one==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
        f"two_parts==2 \\\n    --hash=sha256:{'c' * 64}\n"
    )


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.path.name)
def test_the_file_holds_what_make_lock_writes_and_nothing_else(file: lock.Lock) -> None:
    text = (ROOT / file.path).read_text()

    assert text == lock.render(file.title, *_read(text))


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.path.name)
def test_the_file_has_every_version_that_the_project_pins(file: lock.Lock) -> None:
    requirements, _ = _read((ROOT / file.path).read_text())

    assert set(lock.pinned_versions(ROOT)[file]) <= set(requirements)


def test_what_pip_says_last_is_shown_when_a_package_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project.optional-dependencies]\nplugin = ["pyipam-needs==1.0"]\naudit = []\n'
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    with pytest.raises(SystemExit, match=r"make lock: piptools compile failed: .*pyipam-needs"):
        lock.main(tmp_path)

    assert not (tmp_path / lock.PLUGIN.path).exists()
