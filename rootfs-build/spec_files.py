"""Short driver names: files on the engine's host that lead from a name to a plugin's socket.

Docker knows a managed plugin under its full name only. It looks for other names in
/etc/docker/plugins/NAME.spec, and connects to the socket that is written there.
"""

from pathlib import Path

SPEC_DIRECTORY = Path("/etc/docker/plugins")
SOCKET_DIRECTORY = Path("/run/docker/plugins")


def alias_names(setting: str) -> list[str]:
    """The names in a DRIVER_ALIASES setting; what the plugin refuses is left out."""
    names = (part.partition("=")[0].strip() for part in setting.split(";") if "=" in part)
    return [name for name in names if name and "/" not in name and name != ".."]


def address(plugin_id: str, name: str) -> str:
    """Where the plugin listens for that name."""
    return f"unix://{SOCKET_DIRECTORY}/{plugin_id}/{name}.sock"


def owner(spec: Path) -> str:
    """The id of the plugin that a spec file leads to; empty if it is none of ours."""
    text = spec.read_text().strip()
    prefix = f"unix://{SOCKET_DIRECTORY}/"
    return text.removeprefix(prefix).partition("/")[0] if text.startswith(prefix) else ""


def specs_of(plugin_id: str) -> list[Path]:
    """The spec files that lead to that plugin."""
    return [spec for spec in sorted(SPEC_DIRECTORY.glob("*.spec")) if owner(spec) == plugin_id]


def write(plugin_id: str, names: list[str], living: set[str]) -> list[str]:
    """Write a file for each name and remove this plugin's others; the names that were taken.

    A name is taken when it leads to another plugin that still exists, or to something that is
    no plugin of Docker's: those files are left alone.
    """
    SPEC_DIRECTORY.mkdir(parents=True, exist_ok=True)
    taken = []
    for name in names:
        spec = SPEC_DIRECTORY / f"{name}.spec"
        if spec.exists() and owner(spec) in living - {plugin_id} | {""}:
            taken.append(name)
            continue
        unfinished = spec.with_suffix(".new")
        unfinished.write_text(address(plugin_id, name))
        unfinished.replace(spec)
    for spec in specs_of(plugin_id):
        if spec.stem not in names:
            spec.unlink()
    return taken


def remove(plugin_id: str) -> list[str]:
    """Remove the files that lead to that plugin; their names."""
    specs = specs_of(plugin_id)
    for spec in specs:
        spec.unlink()
    return [spec.stem for spec in specs]
