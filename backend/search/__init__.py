"""Search over everything that a workspace and the documentation hold: by words, kind by kind, the best first.

    query("wheat robin")              what is looked for
    search(sources, asked)            a group for each kind, with how many there are and the best of them
    recent(sources)                   what was used last, for an empty query

What is read is bounded, so that a search answers at once however much there is; a kind whose store is damaged says so, and hides no other.
"""

from backend.search.finding import KINDS, recent, search
from backend.search.found import Group, Hit
from backend.search.sources import Sources
from backend.search.words import Query, query

__all__ = ["KINDS", "Group", "Hit", "Query", "Sources", "query", "recent", "search"]
