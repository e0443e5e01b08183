"""What operators said of nodes, as documents of MongoDB.

Any node may say something of a node, so the documents have an order: the `number` of each is one
more than that of the one that it replaces, and whoever replaces it has to know it. An event of a
change stream may arrive after a later change is known, and can be told by that.

    _id is the name of the node, and `writer` is the process that wrote the document. `deleted` is
    true where the record was deleted, and absent otherwise: such a document is kept for its number
"""

from __future__ import annotations

from typing import NamedTuple

from pyipam.store.mongodb.documents import Filter, StoredDocument
from pyipam.store.records import Change, Delete, NodeKey, NodeRecord, Put

# The documents without those of deleted records.
MARKS: Filter = {"deleted": {"$exists": False}}


class NumberedMark(NamedTuple):
    """What was said of a node, or that it was taken back, and the number of that."""

    number: int
    change: Put | Delete

    @property
    def name(self) -> str:
        """The name of the node."""
        match self.change:
            case Put(NodeRecord(name)) | Delete(NodeKey(name)):
                return name
        raise TypeError(self.change)


def encode_mark(mark: NodeRecord) -> StoredDocument:
    """What is said of a node, without the order."""
    return {"_id": mark.name, "draining": mark.draining, "forgotten": mark.forgotten}


def decode_mark(document: StoredDocument) -> NodeRecord:
    """What a document says of a node. Raises as the methods of RecordCodec do."""
    return NodeRecord(document["_id"], document["draining"], document["forgotten"])


def encode_change_of_mark(change: Change, writer: str, number: int) -> StoredDocument:
    """The document of what is said of a node, or taken back, by a process."""
    order = {"writer": writer, "number": number}
    match change:
        case Put(NodeRecord() as mark):
            return encode_mark(mark) | order
        case Delete(NodeKey(name)):
            return {"_id": name, "deleted": True} | order
    raise TypeError(change)


def decode_numbered_mark(document: StoredDocument) -> NumberedMark:
    """What a document says of a node, or that nothing is said of it any more. Raises as the methods
    of RecordCodec do."""
    if document.get("deleted"):
        return NumberedMark(document["number"], Delete(NodeKey(document["_id"])))
    return NumberedMark(document["number"], Put(decode_mark(document)))
