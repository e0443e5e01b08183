"""The interpreter in the rootfs finds all that the program needs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bundle.rootfs import Rootfs, post_when_it_listens


@pytest.mark.parametrize(
    "module",
    [
        "falcon",
        "waitress",
        "tinydb",
        "cerberus",
        "orjson",
        "prometheus_client",
        "pymongo",
        "ssl",
        "hashlib",
        "socket",
        "json",
        "ctypes",
        "ipaddress",
        "zlib",
        "asyncio",
        "logging",
        "pyipam.server",
    ],
)
def test_it_imports(rootfs: Rootfs, module: str) -> None:
    assert rootfs.python(f"import {module}; print('imported')") == "imported"


def test_it_imports_every_extension_module_that_is_there(rootfs: Rootfs) -> None:
    directory = rootfs.path / rootfs.stdlib / "lib-dynload"
    names = sorted({path.name.split(".")[0] for path in directory.glob("*.so")})

    assert "_ssl" in names
    assert rootfs.python(f"import {', '.join(names)}; print('imported')") == "imported"


def test_it_makes_tls_contexts_and_digests(rootfs: Rootfs) -> None:
    code = "import hashlib, ssl; ssl.create_default_context(); print(hashlib.sha256().hexdigest())"

    assert rootfs.python(code).startswith("e3b0c442")


def test_it_resolves_the_names_in_the_hosts_file(rootfs: Rootfs, tmp_path: Path) -> None:
    copy = Rootfs(tmp_path / "rootfs")
    shutil.copytree(rootfs.path, copy.path, symlinks=True)
    (copy.path / "etc/hosts").write_text("192.0.2.7 store.test\n")

    code = "import socket; print(socket.gethostbyname('store.test'))"

    assert copy.python(code) == "192.0.2.7"


def test_cerberus_finds_its_rules_in_its_docstrings(rootfs: Rootfs) -> None:
    code = """
import cerberus
validator = cerberus.Validator({"prefix": {"type": "integer", "max": 32}})
print(validator.validate({"prefix": 33}), validator.errors)
"""

    assert rootfs.python(code) == "False {'prefix': ['max value is 32']}"


def test_documents_of_mongodb_are_read_and_written_by_compiled_code(rootfs: Rootfs) -> None:
    code = "import bson, pymongo; print(bson.has_c(), pymongo.has_c())"

    assert rootfs.python(code) == "True True"


def test_it_looks_for_modules_only_where_root_alone_can_write(rootfs: Rootfs) -> None:
    code = "import sys; print(*[path for path in sys.path if not path.endswith('.zip')])"
    stdlib = f"/{rootfs.stdlib}"

    assert rootfs.python(code).split() == [
        stdlib,
        f"{stdlib}/lib-dynload",
        "/usr/lib/python3/dist-packages",
    ]


def test_the_program_serves_from_a_root_directory_that_only_root_may_enter(
    rootfs: Rootfs, tmp_path: Path
) -> None:
    # dockerd makes the rootfs of a plugin with mode 0700, and the program drops its rights.
    copy = Rootfs(tmp_path / "rootfs")
    shutil.copytree(rootfs.path, copy.path, symlinks=True)
    (copy.path / "run/docker/plugins").mkdir(parents=True)
    (copy.path / "schema.json").touch()
    copy.path.chmod(0o700)
    sockets = copy.path / "run/docker/plugins"

    with subprocess.Popen(
        [*copy.enter(), "/usr/bin/python3", "-I", "-m", "pyipam.server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Only root can become another user.
        env={"PATH": os.environ["PATH"], **({"PYIPAM_USER": "0"} if os.geteuid() else {})},
    ) as program:
        try:
            reply = post_when_it_listens(sockets / "driver.sock", "GetDefaultAddressSpaces")
        finally:
            program.terminate()
            log, _ = program.communicate(timeout=60)

    assert reply["LocalDefaultAddressSpace"] == "local", log
    assert program.returncode == 0, log
