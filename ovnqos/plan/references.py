"""Which sets and groups the text of a match names."""

from __future__ import annotations

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_REFERENCE = re.compile(r"[$@]([A-Za-z_.][A-Za-z0-9_.]*)")


def references_in(match: str) -> set[str]:
    """Names of the address sets and port groups used, also when the match does not parse."""
    return set(_REFERENCE.findall(_STRING.sub("", match)))
