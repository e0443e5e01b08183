"""The error of a machine that lacks something the private engines need."""


class Unavailable(Exception):
    """Something that private engines need is not available; the message says what to do."""
