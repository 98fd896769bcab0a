"""Kubernetes lists to their items: `kind: List`, typed lists such as `PodList`, and lists in lists."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ovnqos.errors import Fault, InvalidObject
from ovnqos.sources.documents import Document
from ovnqos.sources.fields import describe
from ovnqos.sources.objects import subject_of

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
        own_faults, item_faults = _divide(current.faults)
        if items is not None and not isinstance(items, list):
            own_faults.append(Fault(path="items", message=f"must be a list, not {describe(items)}"))
        elif items is not None:
            children = []
            for index, item in enumerate(items):
                if isinstance(item, Mapping):
                    children.append(_item(current, index, item, tuple(item_faults.get(index, ()))))
                else:
                    own_faults.append(Fault(path=f"items[{index}]", message=f"must be a mapping, not {describe(item)}"))
            pending.extend(reversed(children))
        if own_faults:
            subject = subject_of(kind, "", "", f"{current.origin}, {current.place}")
            yield InvalidObject(subject, own_faults, kind=kind)


def _divide(faults: tuple[Fault, ...]) -> tuple[list[Fault], dict[int, list[Fault]]]:
    """A list's faults: its own, and each item's with paths that begin at the item."""
    own: list[Fault] = []
    of_items: dict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        match = _ITEM.fullmatch(fault.path)
        if match is None:
            own.append(fault)
        else:
            of_items[int(match[1])].append(Fault(path=match[2], message=fault.message))
    return own, of_items


def _item(parent: Document, index: int, item: Mapping[str, object], faults: tuple[Fault, ...]) -> Document:
    kind = str(parent.value["kind"]).removesuffix(_SUFFIX)
    if kind and (item.get("kind") is None or item.get("apiVersion") is None):
        inherited = {"apiVersion": parent.value.get("apiVersion"), "kind": kind}
        item = {**inherited, **{key: value for key, value in item.items() if value is not None}}
    return Document(value=item, origin=parent.origin, place=f"{parent.place}, items[{index}]", faults=faults)
