"""Error codes of MongoDB, by the names of src/mongo/base/error_codes.yml in mongodb/mongo."""

from __future__ import annotations

from typing import Final

UNAUTHORIZED: Final = 13
AUTHENTICATION_FAILED: Final = 18
ILLEGAL_OPERATION: Final = 20
NAMESPACE_NOT_FOUND: Final = 26
CURSOR_NOT_FOUND: Final = 43
NAMESPACE_EXISTS: Final = 48
MAX_TIME_MS_EXPIRED: Final = 50
NETWORK_TIMEOUT: Final = 89
SHUTDOWN_IN_PROGRESS: Final = 91
DOCUMENT_VALIDATION_FAILURE: Final = 121
PRIMARY_STEPPED_DOWN: Final = 189
SNAPSHOT_UNAVAILABLE: Final = 246
ATLAS_ERROR: Final = 8000
NOT_WRITABLE_PRIMARY: Final = 10107
BSON_OBJECT_TOO_LARGE: Final = 10334
DUPLICATE_KEY: Final = 11000
INTERRUPTED_AT_SHUTDOWN: Final = 11600
INTERRUPTED_DUE_TO_REPL_STATE_CHANGE: Final = 11602
NOT_PRIMARY_NO_SECONDARY_OK: Final = 13435
NOT_PRIMARY_OR_SECONDARY: Final = 13436
KEY_TOO_LONG: Final = 17280

# The user may not do this, or is not who it claims to be.
ACCESS_DENIED = frozenset({UNAUTHORIZED, AUTHENTICATION_FAILED})

# The server has looked at a write and refused it: nothing was stored.
WRITE_REFUSED = ACCESS_DENIED | {
    ILLEGAL_OPERATION,
    NAMESPACE_NOT_FOUND,
    DOCUMENT_VALIDATION_FAILURE,
    ATLAS_ERROR,
    BSON_OBJECT_TOO_LARGE,
    KEY_TOO_LONG,
}

# A change stream that ended with one of these can be resumed where it ended: access may be granted
# again, and the others come with a fail-over, or with a member that forgets the stream.
STREAM_INTERRUPTED = ACCESS_DENIED | {
    CURSOR_NOT_FOUND,
    MAX_TIME_MS_EXPIRED,
    NETWORK_TIMEOUT,
    SHUTDOWN_IN_PROGRESS,
    PRIMARY_STEPPED_DOWN,
    NOT_WRITABLE_PRIMARY,
    INTERRUPTED_AT_SHUTDOWN,
    INTERRUPTED_DUE_TO_REPL_STATE_CHANGE,
    NOT_PRIMARY_NO_SECONDARY_OK,
    NOT_PRIMARY_OR_SECONDARY,
}
