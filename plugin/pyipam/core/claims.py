"""Claims: how often each driver name holds a pool, and in which epoch it last said so."""

from __future__ import annotations

from pyipam.store.pool_id import split_node
from pyipam.store.records import Claim, PoolRecord

# Up to how many networks of a claim are counted where each may be one that was counted before. So
# high a count may be too low, and stays as it is.
MOST_COUNTED = 100


def claim_of(pool: PoolRecord, driver: str) -> Claim | None:
    """The claim of one driver name to the pool, or None."""
    for claim in pool.claims:
        if claim.driver == driver:
            return claim
    return None


def references_of(pool: PoolRecord) -> int:
    """How many networks hold the pool, of all driver names."""
    return sum(claim.references for claim in pool.claims)


def with_one_less(claim: Claim) -> Claim:
    """The claim after one of its networks has released the pool. A count that may be too low stays:
    no pool ends under a network."""
    if claim.references >= MOST_COUNTED:
        return claim
    return claim._replace(references=claim.references - 1)


def with_claim(pool: PoolRecord, claim: Claim) -> PoolRecord:
    """The pool with this claim in the place of the driver name's former one; without any claim of
    that driver name if no reference is left in it."""
    others = tuple(other for other in pool.claims if other.driver != claim.driver)
    return pool._replace(claims=(*others, claim) if claim.references else others)


def without_claims_of_other_nodes(pool: PoolRecord, driver: str) -> PoolRecord:
    """The pool without the claims that the same driver name has on other nodes: a swarm has one
    leader, and a new leader claims every pool of the swarm again."""
    left = tuple(
        claim
        for claim in pool.claims
        if claim.driver == driver or split_node(claim.driver)[0] != driver
    )
    return pool._replace(claims=left)
