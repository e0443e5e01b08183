"""A server that requires credentials and TLS."""

from __future__ import annotations

from pathlib import Path

from pyipam.store.mongodb.address import StoreAddress
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import Document, Member, loopback_places, wait_for

CERTIFICATES = Path(__file__).with_name("certificates")
PASSWORD = "s3cr3t/@:"


def credentials() -> Document:
    """The content of a credentials file for the user of the server."""
    return {
        "username": "pyipam",
        "password": PASSWORD,
        "tls_ca": (CERTIFICATES / "ca.pem").read_text(),
        "tls_certificate": (CERTIFICATES / "member.pem").read_text(),
    }


class GuardedServer:
    """A member that accepts TLS only, and knows one user."""

    def __init__(self, folder: Path) -> None:
        (self.place,) = loopback_places(1)
        key = folder / "key"
        key.write_text("c2VjcmV0IG9mIHRoZSBtZW1iZXJz")
        key.chmod(0o600)
        arguments = ["--replSet", "rs0", "--keyFile", str(key), "--tlsMode", "requireTLS"]
        arguments += ["--tlsCAFile", str(CERTIFICATES / "ca.pem")]
        arguments += ["--tlsCertificateKeyFile", str(CERTIFICATES / "member.pem")]
        self.member = Member(ensure_mongod(), folder / "0", self.place, arguments)
        self.member.client_options = {
            "tls": True,
            "tlsCAFile": str(CERTIFICATES / "ca.pem"),
            "tlsCertificateKeyFile": str(CERTIFICATES / "member.pem"),
        }

    def start(self) -> None:
        self.member.start()
        self.member.wait_until_it_answers()
        members = [{"_id": 0, "host": str(self.place)}]
        self.member.command({"replSetInitiate": {"_id": "rs0", "members": members}})
        wait_for(lambda: self.member.command({"hello": 1})["isWritablePrimary"], "a primary")
        admin = {"username": "admin", "password": "of the tests"}
        self.member.command({"createUser": "admin", "pwd": admin["password"], "roles": ["root"]})
        self.member.client_options |= admin
        # Only the roles that docs/mongodb.md names.
        roles = [{"role": "readWrite", "db": "pyipam"}]
        self.member.command({"createUser": "pyipam", "pwd": PASSWORD, "roles": roles})

    def empty(self) -> None:
        """Drop the plan that is stored in it."""
        with self.member.client() as client:
            client.drop_database("pyipam")

    @property
    def url(self) -> str:
        return f"mongodb://{self.place}/?replicaSet=rs0"

    def address(self, **members: str) -> StoreAddress:
        return StoreAddress(self.url, **members)
