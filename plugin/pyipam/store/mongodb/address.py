"""Where the database is and who may use it: STORE_URL, and a file with credentials.

`docker plugin inspect` shows every setting, so secrets are in a file, which is mounted with
STORE_CREDENTIALS_PATH. It is a JSON object, in which every key is optional:

    username         with password: the user of the database
    password
    tls_ca           the certificate authorities to trust, in PEM format. It turns on TLS; the
                     plugin trusts no authority by default
    tls_certificate  the plugin's own certificate and private key, in PEM format

The URL is a setting, because an upgrade of the plugin resets mounts, but keeps settings: a plugin
that did not know of the database would start an empty plan in files.
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

DEFAULT_DATABASE = "pyipam"
_SCHEME = "mongodb://"
_URL = re.compile(
    r"mongodb://((?P<user>[^/?@:]*)(:[^/?@]*)?@)?(?P<hosts>[^/?@]+)"
    r"(/(?P<database>[^/?]*))?(\?(?P<options>.*))?"
)
_CREDENTIAL_KEYS = ("username", "password", "tls_ca", "tls_certificate")
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")
_FORBIDDEN_IN_DATABASE_NAME = set('/\\. "$*<>:|?\0')
_MAX_DATABASE_NAME_LENGTH = 63
# The options that the store sets itself, and the only values that a URL may give them.
_FIXED_OPTIONS = {
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
    """A database, and the credentials to use it. Neither its str nor its repr shows a secret."""

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
        return unquote(_parts(self.url)["database"]) or DEFAULT_DATABASE


def check_store_url(text: str) -> str:
    """The URL, if it can be that of a replica set that stores a plan safely.

    Raises ValueError with a sentence that does not show a password.
    """
    if text.startswith("mongodb+srv://"):
        raise ValueError(
            "mongodb+srv:// needs a resolver that the plugin does not have; name the members: "
            "mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME"
        )
    parts = _parts(text)
    for host in parts["hosts"].split(","):
        if not _HOST_AND_PORT.fullmatch(host):
            raise ValueError(
                f"{host!r} is not a HOST or HOST:PORT; separate several of them by commas"
            )
    name = unquote(parts["database"])
    if _FORBIDDEN_IN_DATABASE_NAME & set(name) or len(name) > _MAX_DATABASE_NAME_LENGTH:
        raise ValueError(f"{name!r} cannot be the name of a database")
    for option, value in parse_qsl(parts["options"]):
        fixed = _FIXED_OPTIONS.get(option.lower())
        if fixed is not None and value.lower() != fixed:
            raise ValueError(
                f"with the option {option}={value}, what was given out could be lost; leave it out"
            )
    return text


def _parts(url: str) -> dict[str, str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(
            "it must have the form mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME, with '@', ':' "
            "and '/' in a name or a password written as %40, %3A and %2F"
        )
    return {name: value or "" for name, value in match.groupdict().items()}


def without_password(text: str) -> str:
    """The text with `***` instead of the passwords of a URL in it."""
    text = re.sub(r"(?<=://)([^:@]*):.*@", r"\1:***@", text, flags=re.DOTALL)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)


def store_address(store_url: str, credentials: str) -> StoreAddress:
    """The address that STORE_URL and the content of the credentials file describe together.

    Raises InvalidRequest with a sentence that does not show a secret.
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
        credentials: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"the credentials file is not valid JSON: line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(credentials, dict):
        raise InvalidRequest("the credentials file must contain a JSON object")
    for key, value in credentials.items():
        if key not in _CREDENTIAL_KEYS:
            raise InvalidRequest(
                f"the credentials file: {key!r} is not a known key; the known keys are "
                f"{', '.join(_CREDENTIAL_KEYS)}"
            )
        if not isinstance(value, str):
            raise InvalidRequest(f"the credentials file: {key} must be a string")
    given = {key: value for key, value in credentials.items() if value}
    if "password" in given and "username" not in given:
        raise InvalidRequest("the credentials file: a password needs a username")
    for key in ("tls_ca", "tls_certificate"):
        if key in given and "-----BEGIN " not in given[key]:
            raise InvalidRequest(f"the credentials file: {key} is not in PEM format")
    return given


def client_options(address: StoreAddress, folder: Path) -> Mapping[str, Any]:
    """The options of the client that are not in the URL. Certificates are written to files in the
    folder that only their owner can read; files that are no longer needed are removed.

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
