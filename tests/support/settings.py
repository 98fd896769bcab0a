"""The daemon's settings, loaded from given arguments and a given environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest import mock

from ovnqosd.settings.loading import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqosd.settings.settings import Settings


def load(arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Settings:
    with mock.patch.dict(os.environ, environment or {}, clear=True):
        return load_settings(arguments)
