"""Name items: the words of any vocabulary that lie nearest to an item of any kind.

    names(x) = the k words w of largest cos(x, w), less how much of a hub w is where a bank is given (see `csls`)

Items and words must lie in one space, by training or by a map such as `sitta`. A vocabulary has its hubs like any other
gallery, words that are near everything; items of the kind to be named, given as a bank, say which these are.

Source: what "SITTA: A Semantic Image-Text Alignment for Image Captioning" does with what it has brought over, 8 words
an item; the bank is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.search.csls import CSLS, with_offsets
from commonspace.search.exact import top_k
from commonspace.search.hits import Hit, Hits


def name_items(
    X: npt.ArrayLike,
    vocabulary_vectors: npt.ArrayLike,
    words: Sequence[str],
    k: int = 8,
    *,
    bank: npt.ArrayLike | None = None,
) -> list[Hits]:
    """Return the words nearest to each item, best first.

    Parameters
    ----------
    X : (n, d) array
        Items, in the space of the words; none of length zero.
    vocabulary_vectors : (v, d) array
        One row a word; none of length zero.
    words : sequence of str
        What row i stands for. Of equal words the best row counts.
    k : int
        Words an item; fewer where the vocabulary has fewer.
    bank : (b, d) array, optional
        Items of the kind to be named, not these themselves, against words that are near everything.

    Returns
    -------
    list of Hits
        One an item; the ids are the words, scores are cosines (less what a bank takes off).
    """
    items = unit(check_vectors(X, allow_zero=False))
    gallery = unit(check_vectors(vocabulary_vectors, name="vocabulary_vectors", dim=items.shape[1], allow_zero=False))
    if len(words) != len(gallery):
        raise BadInput(f"there are {len(words)} words and {len(gallery)} vectors: one for each word is needed")
    if not len(words):
        raise BadInput("the vocabulary is empty: there is nothing to name items with")
    queries = items
    if bank is not None:
        typical = unit(check_vectors(bank, name="bank", dim=items.shape[1], allow_zero=False))
        if not len(typical):
            raise BadInput("the bank is empty: give some hundred items of the kind to be named, or leave it out")
        queries, gallery = with_offsets(items, gallery, CSLS().fit(typical).offsets(gallery))
    copies = int(np.unique(np.asarray(words, dtype=str), return_counts=True)[1].max())
    rows, scores = top_k(queries, gallery, check_positive("k", k) * copies)
    return [_named(r, s, words, k) for r, s in zip(rows, scores, strict=True)]


def _named(rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], words: Sequence[str], k: int) -> Hits:
    best: dict[str, float] = {}
    for row, score in zip(rows, scores, strict=True):
        best.setdefault(str(words[row]), float(score))
    return Hits([Hit(word, score) for word, score in list(best.items())[:k]], id_name="word")
