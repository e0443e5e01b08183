"""The bundle built by an engine equals the one built natively."""

import shutil
from pathlib import Path

import pytest

from tests.bundle.building import build
from tests.bundle.engine.base_image import DOWNLOADS, import_base
from tests.support.engine.private_engine import PrivateEngine

pytestmark = pytest.mark.any_engine

_BASE = "base:1"


@pytest.fixture(scope="module")
def base(engine: PrivateEngine) -> str:
    """The image to build in."""
    import_base(engine, _BASE)
    return _BASE


def test_both_routes_give_the_same_bytes(
    engine: PrivateEngine, sources: Path, base: str, tmp_path: Path
) -> None:
    native = build(sources, tmp_path / "native.tar")
    downloads = engine.root / "opt/downloads"
    for part in DOWNLOADS:
        shutil.copytree(part, downloads / part.name, dirs_exist_ok=True)

    route = ["BUNDLE_ROUTE=docker", f"BUNDLE_BASE={base}", "BUNDLE_DOWNLOADS=/opt/downloads"]
    engine.run(
        "env", *route, "/opt/sources/rootfs-build/bundle", "/opt/docker.tar", timeout=300
    ).check()

    assert (engine.root / "opt/docker.tar").read_bytes() == native.read_bytes()
    assert engine.must("ps", "--all", "--quiet") == ""
    assert engine.must("images", "--format", "{{.Repository}}:{{.Tag}}").split() == [
        base,
        "busybox:latest",
    ]
