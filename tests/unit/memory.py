"""How much memory something takes."""

import tracemalloc
from collections.abc import Callable


def bytes_taken_by_repeating(action: Callable[[], None]) -> int:
    """How many bytes more are in use after the action was done 2,000 times than after 10."""
    for _ in range(10):
        action()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(2_000):
            action()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before
