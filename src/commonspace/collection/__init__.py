"""`Collection`: items on disk with their fields and vectors, searched by any modality of one space.

    with Collection.create("icons.cs", space) as icons:
        icons.add(table)                                        # columns named like the modalities are encoded
        hits = icons.search(text="trash bin", k=10, where="family = 'mdi6'")

This package joins the parts; the work is done in `store` (what is written and read), `search` (what is nearest) and
the `Space` (what an item's vector is). docs/collection.md says what is guaranteed.
"""

from __future__ import annotations

from commonspace.collection.building import Built
from commonspace.collection.examined import Examined
from commonspace.collection.keeping import Keeping
from commonspace.collection.mending import Mending
from commonspace.collection.planning import Planning
from commonspace.collection.portable import Portable
from commonspace.collection.scores import Scores
from commonspace.collection.tuning import Tuning
from commonspace.collection.upgrading import Upgrading
from commonspace.collection.writing import Writing
from commonspace.search.hits import Hit, Hits
from commonspace.store.copying import Copied
from commonspace.store.ingest import Added

__all__ = ["Added", "Built", "Collection", "Copied", "Hit", "Hits"]


class Collection(Examined, Planning, Scores, Writing, Upgrading, Tuning, Keeping, Portable, Mending):
    """A folder of items; made by `create`, opened by `open`."""
