"""The sentences in which the store says what is wrong. None of them shows a secret."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.documents import StoredDocument
from pyipam.store.mongodb.error_codes import ACCESS_DENIED
from pyipam.store.mongodb.fencing import Altered, Fenced, Forgotten, Removed


@dataclass(frozen=True)
class Messages:
    """What the store of one node says. Requires no lock."""

    database: Database[StoredDocument]
    address: StoreAddress
    node: str

    # Before anything is written

    def not_loaded(self) -> str:
        """A commit came before the plan was read."""
        return f"nothing can be stored in {self.address} until it has been read completely"

    def fenced(self, reason: Fenced) -> str:
        """This process no longer serves its node."""
        if isinstance(reason, Forgotten):
            return self.forgotten()
        if isinstance(reason, Altered):
            return self.altered(reason.what)
        return self.removed() if isinstance(reason, Removed) else self.superseded()

    def forgotten(self) -> str:
        """An operator has forgotten the node."""
        return (
            f"node {self.node} was forgotten by an operator, and gives out nothing; give its "
            "plugin another NODE_NAME, or undo that with `pyipam nodes forget --undo "
            f"{self.node}`; then disable and enable the plugin"
        )

    def altered(self, what: str) -> str:
        """Something was taken from the node that neither nodes nor commands take."""
        return (
            f"{what} of node {self.node} is not, or not as its own, in {self.address} any more: "
            "somebody has restored a part of the database, or changed it by hand, and others may "
            "have it. Nothing more is given out: disable and enable the plugin, which then gives "
            "up what is lost, and restart dockerd"
        )

    def removed(self) -> str:
        """The node is no longer in the database."""
        return (
            f"the node {self.node!r} was removed from {self.address}: disable and enable the plugin"
        )

    def superseded(self) -> str:
        """Another process serves this node now."""
        return (
            f"another process has begun to serve the node {self.node!r} in {self.address}, or an "
            "import has replaced what it holds: give each host a NODE_NAME of its own, then "
            "disable and enable the plugin"
        )

    def busy(self) -> str:
        """A commit waited for those before it until its time was over."""
        return (
            f"the change was not stored: the changes before it still wait for {self.address}; "
            "try again"
        )

    def no_answer(self, reason: str) -> str:
        """The database does not answer."""
        return (
            f"the store {self.address} does not answer ({reason}); nothing can be given out until "
            "it does"
        )

    # What became of a commit

    def conflict(self) -> str:
        """Other nodes stood in the way of a commit."""
        return (
            f"other nodes that share {self.address} changed the plan at the same moment; nothing "
            "has been done. Try again"
        )

    def outpaced(self) -> str:
        """Other nodes stood in the way each time that it was tried."""
        return (
            f"the change could not be stored in {self.address}: other nodes were always faster; "
            "nothing has been done. Try again"
        )

    def not_stored(self, error: Exception) -> str:
        """A commit failed, and nothing of it is stored."""
        return (
            f"the change could not be stored in {self.address} ({self._cause_of(error)}); nothing "
            "has been done. Try again when the database answers"
        )

    def lost_after_collision(self, error: PyMongoError) -> str:
        """What stands in the way of a commit could not be read."""
        return (
            f"the change was not stored in {self.address}: it collided with a change of another "
            f"node, and then the database did not answer ({self.reason_of(error)}). Try again"
        )

    def outcome_unknown(self, error: Exception) -> str:
        """A commit may be stored, or not."""
        return (
            f"it is not known whether the change was stored in {self.address} "
            f"({self._cause_of(error)})"
        )

    # Why

    def reason_of(self, error: Exception) -> str:
        """Why the database did not do what it was asked to, in a few words."""
        if not isinstance(error, PyMongoError):
            return str(error)
        if isinstance(error, ServerSelectionTimeoutError):
            return self.no_primary()
        text = text_of(error, self.address)
        if isinstance(error, OperationFailure) and error.code in ACCESS_DENIED:
            return (
                f"{text}: STORE_CREDENTIALS_PATH must name a file with a username and a password "
                "that may read and write there; an upgrade of the plugin resets the setting"
            )
        return text

    def no_primary(self) -> str:
        """What is known of each member, when none of them is known to be the primary."""
        servers = self.database.client.topology_description.server_descriptions().values()
        states = sorted(
            text_of(server.error, self.address)
            if server.error
            else f"{host}:{port} is not the primary"
            for server in servers
            for host, port in [server.address]
        )
        return f"no primary can be reached: {'; '.join(states)}"

    def _cause_of(self, error: Exception) -> str:
        cause = error.__cause__
        return self.reason_of(cause) if isinstance(cause, Exception) else "?"


def text_of(error: Exception, address: StoreAddress) -> str:
    """The text of an error of the client, without details of its configuration and secrets."""
    text = str(error).partition(" (configured timeouts")[0].partition(", full error:")[0]
    for secret in (address.url, address.password):
        if secret:
            text = text.replace(secret, "***")
    return text
