"""The one error that says: this machine lacks something the engines need."""


class Unavailable(Exception):
    """Something the private engines need cannot be had here; the text says what and what to do."""
