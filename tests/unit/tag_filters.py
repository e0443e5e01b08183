"""Tag filters to test with, as lists of terms, and what they select naively."""

from __future__ import annotations

from hypothesis import strategies as st

Literal = tuple[bool, str]
Filter = list[list[Literal]]

TAGS = ["a", "b", "c-1", "D.e", "_"]

filters = st.lists(
    st.lists(st.tuples(st.booleans(), st.sampled_from(TAGS)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)
tag_sets = st.frozensets(st.sampled_from(TAGS))
padding = st.sampled_from(["", " ", '"', "'", "\t", ' "'])


@st.composite
def written(draw: st.DrawFn, terms: Filter) -> str:
    """The filter as somebody may write it."""

    def padded(text: str) -> str:
        return f"{draw(padding)}{text}{draw(padding)}"

    parts = [
        "+".join(padded(f"{'!' if absent else ''}{tag}") for absent, tag in term) for term in terms
    ]
    return padded(",".join(padded(part) for part in parts))


def naively(term: list[Literal], tags: frozenset[str]) -> bool:
    return all((tag in tags) is not absent for absent, tag in term)
