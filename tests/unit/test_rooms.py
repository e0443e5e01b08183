"""The rooms of the program: what each may import, read from its sources; and how long files are.

See "Rooms" in docs/architecture.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "plugin" / "pyipam"

# From the top down. A room may import from those below it, and from itself.
ROOMS = (
    "server",
    "serving",
    "api",
    "cli",
    "runtime",
    "settings",
    "views",
    "core",
    "transfer",
    "history",
    "plan",
    "store",
    "host",
    "space",
    "files",
    "log",
    "driver_names",
    "errors",
)
# What starts the program belongs to the room that it starts.
ROOM_OF_FILE = {"__main__": "cli", "__init__": "errors"}

# What a room knows nothing of: packages by the name under which they are imported.
SERVERS = {"falcon", "waitress", "http", "socketserver", "urllib"}
DATABASES = {"tinydb", "pymongo", "bson"}
FOREIGN = {
    "space": SERVERS | DATABASES | {"cerberus", "orjson"},
    "plan": SERVERS | DATABASES | {"orjson"},
    "core": SERVERS | DATABASES | {"cerberus", "orjson"},
    "views": SERVERS | DATABASES | {"cerberus", "orjson"},
    "store": {"falcon", "waitress", "cerberus"},
    "host": SERVERS | DATABASES | {"cerberus", "orjson"},
    "transfer": {"falcon", "waitress"} | DATABASES,
    "history": SERVERS | DATABASES | {"cerberus"},
    "runtime": {"falcon", "waitress"} | DATABASES,
    "api": {"waitress"} | DATABASES,
    "serving": DATABASES | {"cerberus"},
}
# The command alone speaks to the engine.
for room in ROOMS:
    if room != "cli":
        FOREIGN.setdefault(room, set()).add("docker")
    if room != "api":
        FOREIGN.setdefault(room, set()).add("prometheus_client")

MAX_LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported_names(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions, in full."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def room_of(module: str) -> str:
    name = module.split(".")[1] if "." in module else "__init__"
    return ROOM_OF_FILE.get(name, name)


def own_imports(module: str) -> set[str]:
    """The modules of the program that a module imports."""
    return {name for name in imported_names(MODULES[module]) if name in MODULES} - {module}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down_the_list_of_rooms(module: str) -> None:
    floor = ROOMS.index(room_of(module))
    upwards = {name for name in own_imports(module) if ROOMS.index(room_of(name)) < floor}

    assert upwards == set()


def test_no_module_imports_itself_through_others() -> None:
    imports = {module: own_imports(module) for module in MODULES}
    # Whatever imports nothing that is left can be taken away; a circle stays.
    while removable := {module for module, names in imports.items() if not names & imports.keys()}:
        imports = {module: names for module, names in imports.items() if module not in removable}

    assert imports == {}


@pytest.mark.parametrize("room", sorted(FOREIGN))
def test_a_room_imports_no_library_that_belongs_to_another_one(room: str) -> None:
    found = {
        f"{module}: {name}"
        for module, path in MODULES.items()
        if room_of(module) == room
        for name in imported_names(path)
        if name.split(".")[0] in FOREIGN[room]
    }

    assert found == set()


@pytest.mark.parametrize("library", ["tinydb", "pymongo"])
def test_a_database_is_known_to_the_store_that_is_named_for_it_alone(library: str) -> None:
    folder = {"tinydb": "tinydb", "pymongo": "mongodb"}[library]
    found = {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == library for name in imported_names(path))
    }

    assert {".".join(module.split(".")[:3]) for module in found} == {f"pyipam.store.{folder}"}


@pytest.mark.parametrize("database", ["mongodb", "tinydb"])
def test_the_stores_do_not_import_each_other(database: str) -> None:
    (other,) = {"mongodb", "tinydb"} - {database}
    found = {
        f"{module}: {name}"
        for module in MODULES
        if module.startswith(f"pyipam.store.{database}.")
        for name in own_imports(module)
        if name.startswith(f"pyipam.store.{other}.")
    }

    assert found == set()


def test_netlink_is_known_to_nobody_but_the_room_of_the_host_and_who_opens_it() -> None:
    found = {
        f"{module}: {name}"
        for module in MODULES
        if room_of(module) != "host"
        for name in own_imports(module)
        if room_of(name) == "host"
    }

    assert {line for line in found if not line.endswith(": pyipam.host.route")} == {
        "pyipam.server: pyipam.host.kernel_routes",
        "pyipam.cli.host_routes: pyipam.host.kernel_routes",
        "pyipam.cli.routing.kernel: pyipam.host.announced_routes",
    }


def test_no_file_has_more_than_400_lines() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in FILES}

    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_command_asks_a_running_plugin_and_never_runs_one() -> None:
    found = {
        f"{module}: {name}"
        for module in MODULES
        if room_of(module) == "cli"
        for name in own_imports(module)
        if room_of(name) in ("api", "serving", "runtime")
    }

    assert found == set()


def test_docker_is_asked_by_one_module() -> None:
    found = {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == "docker" for name in imported_names(path))
    }

    assert found == {"pyipam.cli.engine"}
