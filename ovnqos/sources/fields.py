"""A typed reader over a Kubernetes mapping that collects every fault instead of stopping at the first.

Its rules are the API server's: null is as good as absent, a boolean is no number, and a quoted number is a string.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ovnqos.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Warn: TypeAlias = "Callable[[Fault], None]"
"""What a parser calls with each warning: the field, and what is odd about it."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_BRACKETED_KEY = re.compile(r"[A-Za-z0-9_./-]{1,400}")
_SHOWN_LENGTH = 100
_SHOWN_BITS = 256


def child_path(path: str, key: object) -> str:
    """Append a key to a dotted path; a key that holds dots or slashes goes in brackets, and so does an index."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    text = str(key)
    if _PLAIN_KEY.fullmatch(text):
        return f"{path}.{text}" if path else text
    return f"{path}[{text if _BRACKETED_KEY.fullmatch(text) else show(text)}]"


def show(value: object) -> str:
    """A value as a reader of a one-line message sees it: JSON in ASCII, cut when long; mappings and lists by name."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a number of more than 70 digits"
    if isinstance(value, str) and len(value) > _SHOWN_LENGTH:
        value = value[:_SHOWN_LENGTH] + "..."
    return json.dumps(value, default=str)


def describe(value: object) -> str:
    """A value of the wrong type, with its type: `the string "20"`, `the boolean true`, `a list`."""
    match value:
        case bool():
            return f"the boolean {show(value)}"
        case int() | float():
            return f"the number {show(value)}"
        case str():
            return f"the string {show(value)}"
        case _:
            return show(value)


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known word that looks most like it, or nothing."""
    spellings = {candidate.lower(): candidate for candidate in known}
    begun = [spelling for spelling in spellings if len(word) > 2 and spelling.startswith(word.lower())]
    close = begun or difflib.get_close_matches(word.lower(), spellings, n=1, cutoff=0.7)
    return f"; did you mean {spellings[close[0]]}?" if close else ""


class Report:
    """The faults and warnings of one object, and the readers that know which of its fields were read."""

    __slots__ = ("faults", "readers", "warnings")

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.readers: list[Fields] = []

    def fault(self, path: str, message: str) -> None:
        """Add a fault of the field at a full path."""
        self.faults.append(Fault(path=path, message=message))

    def warn(self, path: str, message: str) -> None:
        """Add a warning of the field at a full path."""
        self.warnings.append(Fault(path=path, message=message))

    def warn_of_unknown_fields(self) -> None:
        """Add a warning for each field, of the policed mappings, that nobody read."""
        for reader in self.readers:
            reader.warn_of_unknown_fields()


class Fields:
    """One mapping of an object. Each getter returns None for a field that is absent, null, or faulty (then it says so).

    Args:
        mapping: what to read.
        report: where faults go.
        parent: the reader that this mapping is a field of.
        place: its path relative to the parent, e.g. `egress[0]`.
        policed: whether fields that nobody reads are warned of.
    """

    __slots__ = ("_asked", "_mapping", "_parent", "_place", "_report")

    def __init__(
        self,
        mapping: Mapping[str, object],
        report: Report,
        *,
        parent: Fields | None = None,
        place: str = "",
        policed: bool = True,
    ) -> None:
        self._mapping = mapping
        self._report = report
        self._parent = parent
        self._place = place
        self._asked: list[str] | None = [] if policed else None
        if policed:
            report.readers.append(self)

    @property
    def path(self) -> str:
        """The dotted path of this mapping; empty for the object itself."""
        above = self._parent.path if self._parent is not None else ""
        return f"{above}.{self._place}" if above and self._place else above or self._place

    def fault(self, place: str, message: str) -> None:
        """Add a fault of the field at a path relative to this mapping (`except[1]`), or of itself if that is empty."""
        self._report.fault(self._path_of(place), message)

    def warn(self, place: str, message: str) -> None:
        """Add a warning; `place` as in `fault`."""
        self._report.warn(self._path_of(place), message)

    def _path_of(self, place: str) -> str:
        path = self.path
        return path + place if not path or not place or place.startswith("[") else f"{path}.{place}"

    def get(self, key: str) -> object:
        """The field's value as it is, and note that the field is known."""
        if self._asked is not None:
            self._asked.append(key)
        return self._mapping.get(key)

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.get(key) is not None

    def keys_with_prefix(self, prefix: str) -> list[str]:
        """The keys that begin with a prefix."""
        return [key for key in map(str, self._mapping) if key.startswith(prefix)]

    def integer(self, key: str, noun: str, low: int, high: int, *, required: bool = False) -> int | None:
        """A whole number within bounds; `noun` names it in the fault, with its article."""
        value = self.get(key)
        if type(value) is int and low <= value <= high:
            return value
        right = f"a whole number from {low} to {high}"
        if value is not None:
            quotes = ", without quotes" if isinstance(value, str) and value.isdecimal() else ""
            self.fault(key, f"{show(value)} is not {noun}; use {right}{quotes}")
        elif required:
            self.fault(key, f"missing; give {right}")
        return None

    def string(self, key: str, *, required: str = "") -> str | None:
        """A string; `required` says what to give when it is absent, and makes absence a fault."""
        value = self.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            self.fault(child_path("", key), _must_be_a_string(value))
        elif required:
            self.fault(child_path("", key), f"missing; {required}")
        return None

    def boolean(self, key: str) -> bool | None:
        """True or false."""
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.fault(key, f"must be true or false, not {describe(value)}")
        return None

    def mapping(self, key: str, *, required: str = "", policed: bool = True) -> Fields | None:
        """A reader of a mapping; `required` as in `string`."""
        value = self.get(key)
        if isinstance(value, (dict, Mapping)):
            return Fields(value, self._report, parent=self, place=key, policed=policed)
        if value is not None:
            self.fault(key, f"must be a mapping, not {describe(value)}")
        elif required:
            self.fault(key, f"missing; {required}")
        return None

    def child(self, key: str, mapping: Mapping[str, object]) -> Fields:
        """A reader of a mapping that the field holds in another form, such as JSON text. It is not policed."""
        return Fields(mapping, self._report, parent=self, place=key, policed=False)

    def entries(self, key: str) -> Sequence[object] | None:
        """A list, its entries as they are."""
        value = self.get(key)
        if value is None or isinstance(value, (list, tuple)):
            return value
        self.fault(key, f"must be a list, not {describe(value)}")
        return None

    def mappings(self, key: str, *, policed: bool = True) -> list[Fields] | None:
        """Readers of a list's entries, less those that are no mappings (each a fault)."""
        entries = self.entries(key)
        if entries is None:
            return None
        readers = []
        for index, entry in enumerate(entries):
            place = f"{key}[{index}]"
            if isinstance(entry, (dict, Mapping)):
                readers.append(Fields(entry, self._report, parent=self, place=place, policed=policed))
            else:
                self.fault(place, f"must be a mapping, not {describe(entry)}")
        return readers

    def strings(self, key: str) -> dict[int, str]:
        """A list's strings by index, less the entries that are none (each a fault); empty when absent."""
        found = {}
        for index, entry in enumerate(self.entries(key) or ()):
            if isinstance(entry, str):
                found[index] = entry
            else:
                self.fault(f"{key}[{index}]", _must_be_a_string(entry))
        return found

    def string_map(self, key: str) -> dict[str, str]:
        """A mapping of strings to strings, such as labels, less the entries that are none; empty when absent."""
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, (dict, Mapping)):
            self.fault(key, f"must be a mapping, not {describe(value)}")
            return {}
        found = {}
        for name, text in value.items():
            if isinstance(text, str) and isinstance(name, str):
                found[name] = text
            else:
                wrong = text if isinstance(name, str) else name
                self.fault(child_path(key, name), _must_be_a_string(wrong))
        return found

    def warn_of_unknown_fields(self) -> None:
        """Add a warning for each field that nobody read; it may be a misspelt one."""
        asked = self._asked
        if asked is None:
            return
        for key in self._mapping:
            if key not in asked:
                likely = suggest(str(key), (known for known in asked if known not in self._mapping))
                self._report.warn(child_path(self.path, key), f"unknown field, ignored{likely}")


def _must_be_a_string(value: object) -> str:
    match value:
        case bool():
            example = '"true" or "yes"' if value else '"false" or "no"'
            return f"must be a string, but reads as the boolean {show(value)}; quote it: {example}, as it was meant"
        case int() | float():
            return f'must be a string, but reads as the number {show(value)}; quote it, e.g. "{show(value)}"'
        case _:
            return f"must be a string, not {describe(value)}"
