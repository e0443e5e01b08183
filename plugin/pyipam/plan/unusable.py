"""Addresses that no network of hosts can use, whatever a plan says."""

from __future__ import annotations

from ipaddress import ip_network

from pyipam.space.block import Network

# What each is for, in the words of the registries (RFC 6890): RFC 791 section 3.2, RFC 1122 section
# 3.2.1.3, RFC 3927, RFC 5771 and RFC 1112 section 4; RFC 4291 sections 2.5.2 to 2.7.
_PURPOSES = {
    "0.0.0.0/8": '"this network"',
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/3": "multicast and reserved",
    "::/96": "unspecified, loopback and IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
# Each with its text: Python writes IPv4-mapped addresses differently from 3.13 on.
UNUSABLE_NETWORKS: dict[Network, str] = {ip_network(text): text for text in _PURPOSES}


def unusable_part(network: Network) -> Network | None:
    """The first unusable network that overlaps this one, or None."""
    return next(
        (
            other
            for other in UNUSABLE_NETWORKS
            if other.version == network.version and other.overlaps(network)
        ),
        None,
    )


def purpose_of(unusable: Network) -> str:
    """What an unusable network is for, in words."""
    return _PURPOSES[UNUSABLE_NETWORKS[unusable]]
