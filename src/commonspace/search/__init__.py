"""Search: the exact top k, the hits that a search returns, and advice on codes.

`Collection` joins it with encoding and storage.
"""

from commonspace.search.advisor import Advice, advise
from commonspace.search.exact import top_k
from commonspace.search.funnel import funnel_search
from commonspace.search.hits import Hit, Hits
from commonspace.search.naming import name_items

__all__ = ["Advice", "Hit", "Hits", "advise", "funnel_search", "name_items", "top_k"]
