"""STORE_URL and the credentials file: what they may contain, and what is never shown."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import InvalidRequest
from pyipam.settings import read_places, read_settings
from pyipam.store.mongodb.address import (
    StoreAddress,
    check_store_url,
    client_options,
    store_address,
    without_password,
)

MEMBERS = "mongodb://a,b:27018,[::1]:27019/?replicaSet=rs0"
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://a",
        "mongodb://a/",
        MEMBERS,
        "mongodb://u:p%40ss@a,b,c/plan?replicaSet=rs0&w=majority&tls=true&authSource=admin",
        "mongodb://u@a/?journal=true&readPreference=primary&directConnection=false",
    ],
)
def test_the_url_names_the_members_of_a_replica_set(url: str) -> None:
    assert check_store_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mongodb+srv://a", "mongodb+srv:// needs a resolver"),
        ("postgres://a", "it must have the form mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME"),
        ("a:27017", "it must have the form mongodb://"),
        ("mongodb://", "it must have the form mongodb://"),
        ("mongodb://u:p@ss@a/", "written as %40, %3A and %2F"),
        ("mongodb://a,,b", "'' is not a HOST or HOST:PORT"),
        ("mongodb://a b", "'a b' is not a HOST or HOST:PORT"),
        ("mongodb://a:port", "'a:port' is not a HOST or HOST:PORT"),
        ("mongodb://a/x.y", "'x.y' cannot be the name of a database"),
        (f"mongodb://a/{'x' * 64}", "cannot be the name of a database"),
        ("mongodb://a/?w=1", "with the option w=1, what was given out could be lost"),
        ("mongodb://a/?W=2", "with the option W=2"),
        ("mongodb://a/?journal=false", "with the option journal=false"),
        ("mongodb://a/?readConcernLevel=local", "with the option readConcernLevel=local"),
        ("mongodb://a/?readPreference=nearest", "with the option readPreference=nearest"),
        ("mongodb://a/?retryWrites=false", "with the option retryWrites=false"),
        ("mongodb://a/?directConnection=true", "with the option directConnection=true"),
    ],
)
def test_a_url_that_cannot_be_used_safely_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_store_url(url)


def test_the_database_is_pyipam_if_the_url_does_not_name_one() -> None:
    assert StoreAddress(MEMBERS).database == "pyipam"
    assert StoreAddress("mongodb://a/plan?replicaSet=x").database == "plan"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (MEMBERS, "mongodb://a,b:27018,[::1]:27019/pyipam"),
        (f"mongodb://u:{SECRET}@a/plan?x={SECRET}", "mongodb://u@a/plan"),
    ],
)
def test_an_address_shows_neither_password_nor_options(url: str, shown: str) -> None:
    address = StoreAddress(url, "u", SECRET, PEM + SECRET, PEM + SECRET)

    assert str(address) == shown
    assert SECRET not in repr(address)


@given(st.text("sec:/@%", min_size=1, max_size=12))
def test_no_error_about_the_setting_shows_a_password(noise: str) -> None:
    settings = read_settings({"STORE_URL": f"mongodb://u:{noise}{SECRET}{noise}@a/?w=1"})

    (error,) = settings.errors
    assert SECRET not in error
    assert SECRET not in repr(settings)


def test_text_that_is_not_a_url_is_shown_unchanged() -> None:
    assert without_password("LOG_LEVEL: a@b") == "LOG_LEVEL: a@b"


# The credentials file


def test_the_file_contains_the_credentials_and_the_certificates() -> None:
    members = {"username": "u", "password": "p", "tls_ca": PEM, "tls_certificate": PEM}

    assert store_address(MEMBERS, json.dumps(members)) == StoreAddress(MEMBERS, **members)


@pytest.mark.parametrize("empty", ["", "\n", "{}", '{"password": "", "tls_ca": ""}'])
def test_an_empty_file_adds_nothing(empty: str) -> None:
    assert store_address(MEMBERS, empty) == StoreAddress(MEMBERS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "the credentials file is not valid JSON: line 1, column 2"),
        ("[]", "the credentials file must contain a JSON object"),
        (
            '{"url": "mongodb://a"}',
            "'url' is not a known key; the known keys are username, password, tls_ca",
        ),
        ('{"password": 7}', "password must be a string"),
        ('{"password": "s3cr3t"}', "a password needs a username"),
        ('{"tls_ca": "/etc/s3cr3t.pem"}', "tls_ca is not in PEM format"),
        ('{"tls_certificate": "s3cr3t"}', "tls_certificate is not in PEM format"),
    ],
)
def test_a_bad_file_is_refused_without_showing_what_is_in_it(content: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        store_address(MEMBERS, content)

    assert why in str(refused.value)
    assert SECRET not in str(refused.value)


def test_certificates_become_files_that_only_their_owner_can_read(tmp_path: Path) -> None:
    options = client_options(StoreAddress(MEMBERS, tls_ca=PEM, tls_certificate=PEM), tmp_path)

    assert options["tls"] is True
    for name in ("tlsCAFile", "tlsCertificateKeyFile"):
        path = Path(options[name])
        assert path.read_text() == PEM
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_certificates_that_are_no_longer_in_the_file_are_removed(tmp_path: Path) -> None:
    client_options(StoreAddress(MEMBERS, tls_ca=PEM, tls_certificate=PEM), tmp_path)

    assert client_options(StoreAddress(MEMBERS), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_an_existing_certificate_that_others_can_read_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store-ca.pem").write_text("old")

    options = client_options(StoreAddress(MEMBERS, tls_ca=PEM), tmp_path)

    assert stat.S_IMODE(Path(options["tlsCAFile"]).stat().st_mode) == 0o600


def test_the_file_is_mounted_where_the_plugin_reads_it() -> None:
    config = json.loads((Path(__file__).parents[2] / "config.json").read_text())
    (mount,) = [mount for mount in config["mounts"] if mount["name"] == "STORE_CREDENTIALS_PATH"]

    assert read_places({}).credentials == Path(mount["destination"])


@pytest.mark.parametrize("url", ["mongodb:/u:s3cr3t@a/", "u:s3cr3t@a", "u:s3c/r3t@a,b/?w=1"])
def test_a_malformed_url_is_not_shown_if_it_may_contain_a_password(url: str) -> None:
    (error,) = read_settings({"STORE_URL": url}).errors

    assert error.startswith("setting STORE_URL='***': it must have the form mongodb://")


def test_the_password_of_a_private_key_is_not_shown() -> None:
    url = "mongodb://a/?tlsCertificateKeyFilePassword=s3cr3t&w=1"

    assert without_password(url) == "mongodb://a/?tlsCertificateKeyFilePassword=***&w=1"
