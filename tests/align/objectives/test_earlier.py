from __future__ import annotations

import pytest
import torch
from tests.align.conftest import random_views

from commonspace.align.objectives.earlier import check_old, known_old, old_units, prefix_units
from commonspace.align.objectives.matryoshka import prefix
from commonspace.core.errors import BadInput


def test_the_first_numbers_stand_in_the_earlier_space_as_unit_rows() -> None:
    views = random_views(6, dim=5)
    cut = views.z["text"][:, :4]
    torch.testing.assert_close(prefix_units(views, "text"), cut / cut.norm(dim=1, keepdim=True))
    torch.testing.assert_close(old_units(views, "text"), views.old["text"])


def test_a_batch_that_is_cut_shorter_cuts_the_earlier_space_too() -> None:
    views = prefix(random_views(6, dim=5), 2)
    old = views.old["text"][:, :2]
    torch.testing.assert_close(old_units(views, "text"), old / old.norm(dim=1, keepdim=True))
    torch.testing.assert_close(prefix_units(views, "text"), views.z["text"])


def test_an_item_is_known_there_if_it_has_the_modality_and_a_vector() -> None:
    views = random_views(4)
    views.present["text"] = torch.tensor([True, True, False, True])
    views.old["text"][1] = 0
    assert known_old(views, "text").tolist() == [True, False, False, True]


def test_a_batch_without_old_vectors_is_refused_with_the_way_to_get_them() -> None:
    views = random_views(4)
    check_old(views, "bct")
    views.old = {}
    with pytest.raises(BadInput, match=r"bct keeps .* compatible_with=old_space"):
        check_old(views, "bct")
