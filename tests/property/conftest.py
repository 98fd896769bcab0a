"""The same examples in every run: Hypothesis takes some from the constants of the modules that are loaded."""

from __future__ import annotations

import importlib
import pkgutil

import ovnqos
import ovnqosd

for _package in (ovnqos, ovnqosd):
    for _found in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        if not _found.name.endswith(".__main__"):  # it would run
            importlib.import_module(_found.name)
