"""Where the database is and who may use it: STORE_URL, and a file with what must not be seen.

`docker plugin inspect` shows every setting. What must not be shown goes into a file, which the
mount STORE_CREDENTIALS_PATH brings in. It holds a JSON object; every member may be left out:

    username         with password: who uses the database
    password
    tls_ca           the certificate authorities to trust, as the text of a PEM file: with it the
                     connection uses TLS. The plugin has none of its own
    tls_certificate  the plugin's own certificate and key, as the text of a PEM file

The URL is not among them: an upgrade of the plugin forgets what is mounted, and a plugin that does
not know of the database would begin anew without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from pyipam.errors import InvalidRequest

DATABASE = "pyipam"
_SCHEME = "mongodb://"
_URL = re.compile(
    r"mongodb://((?P<user>[^/?@:]*)(:[^/?@]*)?@)?(?P<hosts>[^/?@]+)"
    r"(/(?P<database>[^/?]*))?(\?(?P<options>.*))?"
)
_MEMBERS = ("username", "password", "tls_ca", "tls_certificate")
_HOST = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")
_FORBIDDEN_IN_NAMES = set('/\\. "$*<>:|?\0')
# What the store settles itself, and the only value that would not contradict it.
_SETTLED = {
    "w": "majority",
    "journal": "true",
    "readconcernlevel": "majority",
    "readpreference": "primary",
    "retrywrites": "true",
    "retryreads": "true",
    "directconnection": "false",
    "loadbalanced": "false",
}


@dataclass(frozen=True)
class StoreAddress:
    """A database, and the credentials to use it. No text made of it shows a secret."""

    url: str = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    tls_ca: str = field(default="", repr=False)
    tls_certificate: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The URL without password and options."""
        parts = _parts(self.url)
        user = parts["user"] and f"{parts['user']}@"
        return f"{_SCHEME}{user}{parts['hosts']}/{self.database}"

    @property
    def database(self) -> str:
        """The name of the database."""
        return unquote(_parts(self.url)["database"]) or DATABASE


def check_store_url(text: str) -> str:
    """The URL, if it can be one of a replica set.

    Raises ValueError with a sentence that shows no password.
    """
    if text.startswith("mongodb+srv://"):
        raise ValueError(
            "mongodb+srv:// needs a resolver that the plugin does not have; name the members: "
            "mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME"
        )
    parts = _parts(text)
    for host in parts["hosts"].split(","):
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is no HOST or HOST:PORT; several are divided by commas")
    name = unquote(parts["database"])
    if _FORBIDDEN_IN_NAMES & set(name) or len(name) > 63:
        raise ValueError(f"{name!r} cannot be the name of a database")
    for option, value in parse_qsl(parts["options"]):
        settled = _SETTLED.get(option.lower())
        if settled is not None and value.lower() != settled:
            raise ValueError(
                f"with {option!r} as {value!r} what was given out could be lost; leave it out"
            )
    return text


def _parts(url: str) -> dict[str, str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(
            "it must read mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME, with '@', ':' and '/' in "
            "a name or a password written as %40, %3A and %2F"
        )
    return {name: value or "" for name, value in match.groupdict().items()}


def without_password(text: str) -> str:
    """The text, if it is a URL, with nothing in the place of passwords."""
    text = re.sub(r"(?<=://)([^:@]*):.*@", r"\1:***@", text, flags=re.DOTALL)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)


def store_address(store_url: str, credentials: str) -> StoreAddress:
    """The address that STORE_URL and the content of the credentials file give together.

    Raises InvalidRequest with a sentence that shows no secret.
    """
    try:
        url = check_store_url(store_url)
    except ValueError as error:
        raise InvalidRequest(f"the URL of the store: {error}") from None
    return StoreAddress(url, **_read_credentials(credentials))


def _read_credentials(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    try:
        members: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"the credentials file is no JSON: line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(members, dict):
        raise InvalidRequest("the credentials file must hold a JSON object")
    for name, value in members.items():
        if name not in _MEMBERS:
            known = ", ".join(_MEMBERS)
            raise InvalidRequest(f"the credentials file: {name!r} is not known; known are {known}")
        if not isinstance(value, str):
            raise InvalidRequest(f"the credentials file: {name} must be a text")
    found = {name: value for name, value in members.items() if value}
    if "password" in found and "username" not in found:
        raise InvalidRequest("the credentials file: a password needs a username")
    for name in ("tls_ca", "tls_certificate"):
        if name in found and "-----BEGIN " not in found[name]:
            raise InvalidRequest(f"the credentials file: {name} is no text of a PEM file")
    return found


def client_options(address: StoreAddress, folder: Path) -> Mapping[str, Any]:
    """What the client needs beside the URL. The PEM texts become files in the folder that only
    their owner can read; those that are no longer needed are removed.

    Raises OSError.
    """
    options: dict[str, Any] = {}
    if address.username:
        options |= {"username": address.username, "password": address.password}
    files = {
        "tlsCAFile": (folder / "store-ca.pem", address.tls_ca),
        "tlsCertificateKeyFile": (folder / "store-certificate.pem", address.tls_certificate),
    }
    for option, (path, text) in files.items():
        with suppress(FileNotFoundError):
            path.unlink()
        if text:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            options |= {option: str(path), "tls": True}
    return options
