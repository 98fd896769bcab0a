"""Pausing the garbage collector: afterwards it is as it was."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from ovnqos.controller import collector_paused

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def running() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_stands_still_inside_and_runs_again_afterwards() -> None:
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_runs_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="ours"), collector_paused():
        raise ValueError("ours")
    assert gc.isenabled()


def test_where_it_did_not_run_it_stays_off() -> None:
    gc.disable()
    with collector_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_a_pause_in_a_pause_does_not_end_it() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()
