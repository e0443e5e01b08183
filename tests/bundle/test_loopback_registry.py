"""The registry that an upgrade takes the new version from."""

import gzip
import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from loopback_registry import LoopbackRegistry


@pytest.fixture(scope="module")
def registry(bundle: Path) -> Iterator[LoopbackRegistry]:
    """A registry that serves the bundle."""
    with LoopbackRegistry(bundle) as registry:
        yield registry


def _get(registry: LoopbackRegistry, path: str) -> bytes:
    host = registry.reference().split("/")[0]
    with urllib.request.urlopen(f"http://{host}{path}") as reply:
        content: bytes = reply.read()
    return content


def _manifest(registry: LoopbackRegistry) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_get(registry, "/v2/pyipam/manifests/latest"))
    return manifest


def _blob(registry: LoopbackRegistry, descriptor: dict[str, Any]) -> bytes:
    return _get(registry, f"/v2/pyipam/blobs/{descriptor['digest']}")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_it_is_found_on_the_loopback_interface_only(registry: LoopbackRegistry) -> None:
    assert registry.reference().startswith("127.0.0.1:")


def test_it_says_that_it_is_a_registry(registry: LoopbackRegistry) -> None:
    assert _get(registry, "/v2/") == b"{}"


def test_the_manifest_describes_blobs_that_are_there(registry: LoopbackRegistry) -> None:
    manifest = _manifest(registry)

    for descriptor in (manifest["config"], *manifest["layers"]):
        content = _blob(registry, descriptor)
        assert len(content) == descriptor["size"]
        assert _digest(content) == descriptor["digest"]


def test_the_manifest_is_found_by_its_digest_too(registry: LoopbackRegistry) -> None:
    manifest = _get(registry, "/v2/pyipam/manifests/latest")

    assert _get(registry, f"/v2/pyipam/manifests/{_digest(manifest)}") == manifest


def test_the_configuration_is_the_plugins_with_the_digest_of_its_rootfs(
    registry: LoopbackRegistry, config: dict[str, Any]
) -> None:
    manifest = _manifest(registry)
    served = json.loads(_blob(registry, manifest["config"]))
    rootfs = gzip.decompress(_blob(registry, manifest["layers"][0]))

    assert served == {**config, "rootfs": {"type": "layers", "diff_ids": [_digest(rootfs)]}}


def test_the_layer_is_the_rootfs_with_owners_and_rights(
    registry: LoopbackRegistry, members: list[tarfile.TarInfo]
) -> None:
    layer = gzip.decompress(_blob(registry, _manifest(registry)["layers"][0]))
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        served = {(m.name, m.type, m.mode, m.uid, m.size, m.linkname) for m in tar}

    assert served == {
        (m.name.removeprefix("rootfs/"), m.type, m.mode, m.uid, m.size, m.linkname)
        for m in members
        if m.name.startswith("rootfs/")
    }


@pytest.mark.parametrize("path", ["/", "/v2/other/manifests/latest", "/v2/pyipam/blobs/sha256:0"])
def test_there_is_nothing_else(registry: LoopbackRegistry, path: str) -> None:
    with pytest.raises(HTTPError, match="404"):
        _get(registry, path)


def test_it_knows_whether_anybody_asked(bundle: Path) -> None:
    with LoopbackRegistry(bundle) as registry:
        assert registry.requests == 0
        _get(registry, "/v2/")
        assert registry.requests == 1
