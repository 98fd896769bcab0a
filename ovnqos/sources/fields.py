"""A typed reader over a Kubernetes mapping that collects every error instead of stopping at the first; names, labels.

Its rules are the API server's: null is as good as absent, a boolean is no number, and a quoted number is a string.
Source of the syntax: Kubernetes documentation, "Object Names and IDs" and "Labels and Selectors" (RFC 1123 names; label
keys with an optional DNS prefix and a name of at most 63 characters; label values of at most 63).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.errors import InvalidObject
from ovnqos.sources.values import InvalidValueError, child_path, describe, show, suggest

if TYPE_CHECKING:
    from collections.abc import Callable


_DIAGNOSTICS_MAXIMUM = 200
UNNAMED = ObjectRef(kind="")
"""The object of a diagnostic while the object is being read."""


class ParseReport:
    """The diagnostics of one object, 200 at most, and the readers that know which of its fields were read."""

    __slots__ = ("_has_error", "diagnostics", "readers")

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.readers: list[Fields] = []
        self._has_error = False

    def error(self, path: str, text: str, *hints: str, code: Code = Code.INVALID_FIELD) -> None:
        """Add an error of the field at a full path."""
        self._add(Severity.ERROR, code, path, text, hints)

    def warn(self, code: Code, path: str, text: str, *hints: str) -> None:
        """Add a warning of the field at a full path."""
        self._add(Severity.WARNING, code, path, text, hints)

    def _add(self, severity: Severity, code: Code, path: str, text: str, hints: tuple[str, ...]) -> None:
        hint = "; ".join(filter(None, hints))
        if len(self.diagnostics) < _DIAGNOSTICS_MAXIMUM or (severity is Severity.ERROR and not self._has_error):
            one = Diagnostic(severity=severity, code=code, object=UNNAMED, path=path, text=text, hint=hint)
            self.diagnostics.append(one)
        self._has_error |= severity is Severity.ERROR

    def finish(self, ref: Callable[[], ObjectRef]) -> tuple[Diagnostic, ...]:
        """Return the warnings, those of unknown fields too, if there is no error.

        Args:
            ref: gives the object that has been read; called when there is something to say.

        Raises:
            InvalidObject: with every error and warning.
        """
        for reader in self.readers:
            reader.warn_of_unknown_fields()
        if not self.diagnostics:
            return ()
        found = ref()
        if any(one.severity is Severity.ERROR for one in self.diagnostics):
            raise InvalidObject(found, self.diagnostics)
        return tuple(replace(one, object=found) for one in self.diagnostics)


class Fields:
    """One mapping of an object.

    Each getter returns None for a field that is absent, null, or invalid; then it adds an error.

    Args:
        mapping: what to read.
        report: where diagnostics go.
        parent: the reader that this mapping is a field of.
        place: its path relative to the parent, e.g. `egress[0]`.
        warn_unknown: whether a field that is not read is a warning.
    """

    __slots__ = ("_asked", "_mapping", "_parent", "_place", "_report")

    def __init__(
        self,
        mapping: Mapping[str, object],
        report: ParseReport,
        *,
        parent: Fields | None = None,
        place: str = "",
        warn_unknown: bool = True,
    ) -> None:
        self._mapping = mapping
        self._report = report
        self._parent = parent
        self._place = place
        self._asked: list[str] | None = [] if warn_unknown else None
        if warn_unknown:
            report.readers.append(self)

    @property
    def path(self) -> str:
        """The dotted path of this mapping; empty for the object itself."""
        above = self._parent.path if self._parent is not None else ""
        return f"{above}.{self._place}" if above and self._place else above or self._place

    def error(self, place: str, text: str, *hints: str, code: Code = Code.INVALID_FIELD) -> None:
        """Add an error of the field at a path relative to this mapping (`except[1]`), or of itself if that is empty."""
        self._report.error(self._path_of(place), text, *hints, code=code)

    def invalid(self, place: str, error: InvalidValueError) -> None:
        """Add the error of a value; `place` as in `error`."""
        self.error(place, error.text, error.hint)

    def missing(self, place: str, hint: str) -> None:
        """Add the error that a field is absent; `place` as in `error`."""
        self.error(place, "missing", hint, code=Code.MISSING_FIELD)

    def warn(self, code: Code, place: str, text: str, *hints: str) -> None:
        """Add a warning; `place` as in `error`."""
        self._report.warn(code, self._path_of(place), text, *hints)

    def add(self, diagnostic: Diagnostic | None) -> None:
        """Add a diagnostic that was made elsewhere; None adds nothing."""
        if diagnostic is not None:
            self._report.diagnostics.append(diagnostic)

    def _path_of(self, place: str) -> str:
        path = self.path
        return path + place if not path or not place or place.startswith("[") else f"{path}.{place}"

    def get(self, key: str) -> object:
        """The field's value as it is; the field counts as known from now on."""
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
        """A whole number within bounds; `noun` names it in the error, with its article."""
        value = self.get(key)
        if type(value) is float and value.is_integer():
            value = int(value)  # the API server takes 10.0 for 10
        if type(value) is int and low <= value <= high:
            return value
        right = f"a whole number from {low} to {high}"
        if value is not None:
            quotes = ", without quotes" if isinstance(value, str) and value.isdecimal() else ""
            self.error(key, f"{show(value)} is not {noun}", f"use {right}{quotes}")
        elif required:
            self.missing(key, f"give {right}")
        return None

    def string(self, key: str, *, required: str = "") -> str | None:
        """A string; `required` says what to give when it is absent, and makes absence an error."""
        value = self.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            self.invalid(child_path("", key), _must_be_a_string(value))
        elif required:
            self.missing(child_path("", key), required)
        return None

    def boolean(self, key: str) -> bool | None:
        """True or false."""
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.error(key, f"must be true or false, not {describe(value)}")
        return None

    def mapping(self, key: str, *, required: str = "", warn_unknown: bool = True) -> Fields | None:
        """A reader of a mapping; `required` as in `string`."""
        value = self.get(key)
        if isinstance(value, (dict, Mapping)):
            return Fields(value, self._report, parent=self, place=key, warn_unknown=warn_unknown)
        if value is not None:
            self.error(key, f"must be a mapping, not {describe(value)}")
        elif required:
            self.missing(key, required)
        return None

    def child(self, key: str, mapping: Mapping[str, object]) -> Fields:
        """A reader of a mapping that the field holds as JSON text; its unknown fields are no warnings."""
        return Fields(mapping, self._report, parent=self, place=key, warn_unknown=False)

    def entries(self, key: str, *, maximum: int | None = None) -> Sequence[object] | None:
        """A list, its entries as they are; one with more than `maximum` is an error, and read no further."""
        value = self.get(key)
        if not isinstance(value, (list, tuple)):
            if value is not None:
                self.error(key, f"must be a list, not {describe(value)}")
            return None
        if maximum is not None and len(value) > maximum:
            self.error(key, f"{len(value)} entries are above the maximum of {maximum}", "use several rules or objects")
            return value[:maximum]
        return value

    def mappings(self, key: str, *, warn_unknown: bool = True, maximum: int | None = None) -> list[Fields] | None:
        """Readers of a list's entries, less those that are no mappings (each an error); `maximum` as in `entries`."""
        entries = self.entries(key, maximum=maximum)
        if entries is None:
            return None
        readers = []
        for index, entry in enumerate(entries):
            place = f"{key}[{index}]"
            if isinstance(entry, (dict, Mapping)):
                readers.append(Fields(entry, self._report, parent=self, place=place, warn_unknown=warn_unknown))
            else:
                self.error(place, f"must be a mapping, not {describe(entry)}")
        return readers

    def strings(self, key: str, *, maximum: int | None = None) -> dict[int, str]:
        """A list's strings by index, less the entries that are none (each an error); empty when absent.

        `maximum` is as in `entries`.
        """
        found = {}
        for index, entry in enumerate(self.entries(key, maximum=maximum) or ()):
            if isinstance(entry, str):
                found[index] = entry
            else:
                self.invalid(f"{key}[{index}]", _must_be_a_string(entry))
        return found

    def string_map(self, key: str) -> dict[str, str]:
        """A mapping of strings to strings, such as labels, less the entries that are none; empty when absent."""
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, (dict, Mapping)):
            self.error(key, f"must be a mapping, not {describe(value)}")
            return {}
        found = {}
        for name, text in value.items():
            if isinstance(text, str) and isinstance(name, str):
                found[name] = text
            else:
                wrong = text if isinstance(name, str) else name
                self.invalid(child_path(key, name), _must_be_a_string(wrong))
        return found

    def warn_of_unknown_fields(self) -> None:
        """Add a warning for each field that was not read: it may be misspelt."""
        asked = self._asked
        if asked is None:
            return
        for key in self._mapping:
            if key not in asked:
                likely = suggest(str(key), (known for known in asked if known not in self._mapping))
                self._report.warn(Code.UNKNOWN_FIELD, child_path(self.path, key), "unknown field, ignored", likely)


def _must_be_a_string(value: object) -> InvalidValueError:
    match value:
        case bool():
            example = '"true" or "yes"' if value else '"false" or "no"'
            return InvalidValueError(
                f"must be a string, but reads as the boolean {show(value)}", f"quote it: {example}"
            )
        case int() | float():
            return InvalidValueError(
                f"must be a string, but reads as the number {show(value)}", f'quote it, e.g. "{show(value)}"'
            )
        case _:
            return InvalidValueError(f"must be a string, not {describe(value)}")


_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DNS_LABEL_LENGTH = 63
DNS_SUBDOMAIN_LENGTH = 253
LABEL_LENGTH = 63


def dns_label_error(text: str) -> InvalidValueError | None:
    """What is wrong with a namespace's name, and what would be right; None if nothing is."""
    if len(text) <= DNS_LABEL_LENGTH and _DNS_LABEL.fullmatch(text):
        return None
    return InvalidValueError(
        f"{show(text)} is not a DNS label",
        f"use at most {DNS_LABEL_LENGTH} lower-case letters, digits and -, with a letter or digit at both ends",
    )


def dns_subdomain_error(text: str) -> InvalidValueError | None:
    """What is wrong with an object's name, and what would be right; None if nothing is."""
    if len(text) <= DNS_SUBDOMAIN_LENGTH and _DNS_SUBDOMAIN.fullmatch(text):
        return None
    return InvalidValueError(
        f"{show(text)} is not a DNS name",
        f"use at most {DNS_SUBDOMAIN_LENGTH} lower-case letters, digits, - and ., "
        "with a letter or digit at both ends of each part",
    )


def label_key_error(text: str) -> InvalidValueError | None:
    """What is wrong with a label's key, and what would be right; None if nothing is."""
    prefix, slash, name = text.rpartition("/")
    if len(name) <= LABEL_LENGTH and _LABEL_NAME.fullmatch(name) and not (slash and dns_subdomain_error(prefix)):
        return None
    return InvalidValueError(
        f"{show(text)} is not a label key",
        f"use at most {LABEL_LENGTH} letters, digits, -, _ and ., with a letter or "
        "digit at both ends, and before it, if need be, a DNS name and /",
    )


def label_value_error(text: str) -> InvalidValueError | None:
    """What is wrong with a label's value, and what would be right; None if nothing is."""
    if not text or (len(text) <= LABEL_LENGTH and _LABEL_NAME.fullmatch(text)):
        return None
    return InvalidValueError(
        f"{show(text)} is not a label value",
        f"use at most {LABEL_LENGTH} letters, digits, -, _ and ., with a letter or "
        "digit at both ends, or an empty string",
    )
