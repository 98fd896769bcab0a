"""Kubernetes lists to their items: `kind: List`, typed lists such as `PodList`, and lists in lists."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.sources.documents import Document
from ovnqos.sources.fields import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIX = "List"
_ITEM = re.compile(r"items\[([0-9]+)\]\.?(.*)")


def expand_lists(document: Document) -> Iterator[Document | InvalidObject]:
    """The objects of a document, in order: of a list its items, of anything else the document itself.

    Items of a typed list that have no kind or apiVersion of their own, as the API server prints them, take the list's.
    What of a list cannot be an object comes as the error that says so.
    """
    pending = [document]
    while pending:
        current = pending.pop()
        kind = current.value.get("kind")
        if not isinstance(kind, str) or not kind.endswith(_SUFFIX) or "items" not in current.value:
            yield current
            continue
        items = current.value["items"]
        ref = ObjectRef(kind=kind, origin=f"{current.origin}, {current.place}")
        errors, item_errors = _divide(current.errors)
        if items is not None and not isinstance(items, list):
            text = f"must be a list, not {describe(items)}"
            errors.append(Diagnostic.error(ref, Code.INVALID_FIELD, text, path="items"))
        elif items is not None:
            children = []
            for index, item in enumerate(items):
                if isinstance(item, Mapping):
                    children.append(_item(current, index, item, tuple(item_errors.get(index, ()))))
                else:
                    text = f"must be a mapping, not {describe(item)}"
                    errors.append(Diagnostic.error(ref, Code.INVALID_FIELD, text, path=f"items[{index}]"))
            pending.extend(reversed(children))
        if errors:
            yield InvalidObject(ref, errors)


def _divide(errors: tuple[Diagnostic, ...]) -> tuple[list[Diagnostic], dict[int, list[Diagnostic]]]:
    """A list's errors: its own, and each item's with paths that begin at the item."""
    own: list[Diagnostic] = []
    of_items: dict[int, list[Diagnostic]] = defaultdict(list)
    for error in errors:
        match = _ITEM.fullmatch(error.path)
        if match is None:
            own.append(error)
        else:
            of_items[int(match[1])].append(replace(error, path=match[2]))
    return own, of_items


def _item(parent: Document, index: int, item: Mapping[str, object], errors: tuple[Diagnostic, ...]) -> Document:
    kind = str(parent.value["kind"]).removesuffix(_SUFFIX)
    if kind and (item.get("kind") is None or item.get("apiVersion") is None):
        inherited = {"apiVersion": parent.value.get("apiVersion"), "kind": kind}
        item = {**inherited, **{key: value for key, value in item.items() if value is not None}}
    return Document(value=item, origin=parent.origin, place=f"{parent.place}, items[{index}]", errors=errors)
