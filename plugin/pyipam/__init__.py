"""pyipam: address management for Docker, driven by a schema of tagged scopes."""

__version__ = "0.1.0"
