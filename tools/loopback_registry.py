"""A registry that serves one plugin, read-only, on the loopback interface.

`docker plugin upgrade` keeps a plugin's id, state and settings, but takes the new version only from
a registry. This is such a registry, and runs for as long as one upgrade takes. Docker accepts plain
HTTP from 127.0.0.0/8.
"""

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from bundle_tar import split

_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.plugin.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_NOT_FOUND = ("application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')


class LoopbackRegistry:
    """Serves the plugin of a bundle while its context is open."""

    def __init__(self, bundle: Path) -> None:
        self._blobs: dict[str, bytes] = {}
        self._manifest = self._make_manifest(bundle)
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reference(self, repository: str = "pyipam") -> str:
        """The name by which an engine on this machine pulls."""
        return f"127.0.0.1:{self._server.server_port}/{repository}:latest"

    def _make_manifest(self, bundle: Path) -> bytes:
        config, rootfs = split(bundle)
        config["rootfs"] = {"type": "layers", "diff_ids": [_digest(rootfs)]}
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": self._add_blob(_CONFIG_TYPE, json.dumps(config).encode()),
            "layers": [self._add_blob(_LAYER_TYPE, gzip.compress(rootfs, 1, mtime=0))],
        }
        return json.dumps(manifest).encode()

    def _add_blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        digest = _digest(content)
        self._blobs[digest] = content
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def _find(self, path: str) -> tuple[str, bytes] | None:
        """What is served at that path: its media type and bytes. None if there is nothing."""
        kind, _, name = path.removeprefix("/v2/pyipam/").partition("/")
        if path == "/v2/":
            return "application/json", b"{}"
        if kind == "manifests" and name in ("latest", _digest(self._manifest)):
            return _MANIFEST_TYPE, self._manifest
        if kind == "blobs" and name in self._blobs:
            return "application/octet-stream", self._blobs[name]
        return None

    def _handler(registry: "LoopbackRegistry") -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(with_body=True)

            def do_HEAD(self) -> None:
                self._reply(with_body=False)

            def _reply(self, *, with_body: bool) -> None:
                registry.requests += 1
                found = registry._find(self.path)
                status, (media_type, content) = (200, found) if found else (404, _NOT_FOUND)
                self.send_response(status)
                self.send_header("Docker-Distribution-API-Version", "registry/2.0")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", media_type)
                if found:
                    self.send_header("Docker-Content-Digest", _digest(content))
                self.end_headers()
                if with_body:
                    self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Log nothing: the upgrade reports by itself."""

        return Handler


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
