"""The faults of `make mutations` can be made: their texts and tests are where they say."""

from __future__ import annotations

import pytest

from tests.mutations.mutations import MUTATIONS, Mutation
from tests.support.deploy import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_its_text_is_in_its_file_once_and_its_tests_are_there(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert all((ROOT / file).is_file() for file in mutation.found_by)
