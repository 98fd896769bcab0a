"""Files, folders and standard input to documents: the raw level, before anything is known of kinds."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject, UnreadableInput
from ovnqos.sources.values import describe
from ovnqos.sources.yaml_json import ParsedDocument, UnreadableTextError, parse_json, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.sources.yaml_json import Shorten

STANDARD_INPUT = "-"
"""The path that stands for standard input."""
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_SUFFIX_WORDS = ".yaml, .yml or .json"
_LIST = "List"
_BEGINNING = 1024
"""Bytes of a text in which it must begin to be taken for JSON."""
_ITEM = re.compile(r"items\[([0-9]+)\]\.?(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document.

    Attributes:
        value: what it holds.
        origin: the file it is in, or `standard input`.
        place: where in it, e.g. `line 12` or `line 1, items[3]`.
        errors: keys that it repeats, which Kubernetes' strict decoding refuses.
    """

    value: Mapping[str, object]
    origin: str
    place: str
    errors: tuple[Diagnostic, ...] = ()


def read_documents(
    paths: Sequence[Path | str], *, stdin: TextIO | None = None, shorten: Shorten | None = None
) -> list[Document]:
    """Read the documents of files, of folders, and of standard input.

    Args:
        paths: files (JSON where the name ends in .json or the text begins like it, else YAML); folders, of which every
            file is read that ends in .yaml, .yml or .json, in sorted order, hidden ones and what links to folders left
            out; `-` for standard input. A file that is named twice is read once.
        stdin: what `-` stands for; None means the process' own.
        shorten: what is kept of each document and each item of a list; None keeps all.

    Returns:
        The documents in order. Empty ones, between two `---`, are left out.

    Raises:
        UnreadableInput: with one line for each file that is missing, not to be read, no YAML or JSON, or not made of
            mappings, and for each path that holds no document at all (as when the program before a pipe failed).
    """
    problems: list[str] = []
    documents: list[Document] = []
    seen: set[str] = set()
    for path in paths:
        found: list[Document] = []
        unreadable = len(problems)
        try:
            files = {_identity(file): file for file in _files(path)}
        except UnreadableInput as error:
            problems.append(str(error))
            continue
        fresh = [file for identity, file in files.items() if identity not in seen]
        seen.update(files)
        for file in fresh:
            try:
                found.extend(_read(file, stdin, shorten))
            except UnreadableInput as error:
                problems.append(str(error))
        if fresh and not found and len(problems) == unreadable:
            problems.append(f"{_words(path)}: no Kubernetes object in it")
        documents.extend(found)
    if problems:
        raise UnreadableInput("\n".join(problems))
    return documents


def expand_lists(document: Document) -> Iterator[Document | InvalidObject]:
    """The objects of a document, in order: of a list its items, of anything else the document itself.

    Items of a typed list that have no kind or apiVersion of their own, as the API server prints them, take the list's.
    What of a list cannot be an object comes as the error that says so.
    """
    pending = [document]
    while pending:
        current = pending.pop()
        kind = current.value.get("kind")
        if not isinstance(kind, str) or not kind.endswith(_LIST) or "items" not in current.value:
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
    kind = str(parent.value["kind"]).removesuffix(_LIST)
    if kind and (item.get("kind") is None or item.get("apiVersion") is None):
        inherited = {"apiVersion": parent.value.get("apiVersion"), "kind": kind}
        item = {**inherited, **{key: value for key, value in item.items() if value is not None}}
    return Document(value=item, origin=parent.origin, place=f"{parent.place}, items[{index}]", errors=errors)


def _identity(file: Path | None) -> str:
    """What is equal for two paths to one file."""
    # Path.resolve raises RuntimeError for a loop of links before Python 3.13
    return os.path.realpath(file) if file is not None else STANDARD_INPUT


def _files(path: Path | str) -> list[Path | None]:
    """The files that a path stands for; None is standard input."""
    if str(path) == STANDARD_INPUT:
        return [None]
    path = Path(path)
    if not path.is_dir():
        return [path]
    files: list[Path | None] = []
    for folder, folders, names in os.walk(path, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.extend(
            Path(folder, name)
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES
        )
    if not files:
        raise UnreadableInput(f"{_words(path)}: no {_SUFFIX_WORDS} file in it")
    return files


def _refuse_folder(error: OSError) -> None:
    raise UnreadableInput(f"{_words(error.filename)}: {_reason(error)}") from None


def read_file(file: Path | None, stdin: TextIO | None = None, shorten: Shorten | None = None) -> list[ParsedDocument]:
    """Read the YAML or JSON documents of one file; None is standard input.

    Raises:
        UnreadableInput: in one line, why it cannot be read.
    """
    origin = _words(file if file is not None else STANDARD_INPUT)
    try:
        text = file.read_bytes() if file is not None else (stdin if stdin is not None else sys.stdin).read().encode()
        is_json = file is not None and file.suffix.lower() == ".json"
        if is_json or text[:_BEGINNING].decode("utf-8-sig", "ignore").lstrip()[:1] in {"{", "["}:
            json_text = text.decode("utf-8-sig")
            text = b""  # not both in memory
            try:
                return parse_json(json_text, shorten=shorten)
            except UnreadableTextError as error:
                if is_json or not error.line:  # well-formed as far as it was read: without a place it is about size
                    raise
            text = json_text.encode()  # YAML in flow style begins like JSON
        text.decode()  # for its errors: libyaml would take other encodings as well
        return list(parse_yaml(text, shorten=shorten))
    except UnicodeError:
        raise UnreadableInput(f"{origin}: not text in UTF-8") from None
    except OSError as error:
        raise UnreadableInput(f"{origin}: {_reason(error)}") from None
    except UnreadableTextError as error:
        place = ":".join(str(number) for number in (error.line, error.column) if number)
        raise UnreadableInput(f"{origin}:{place}: {error}" if place else f"{origin}: {error}") from None
    except ValueError:
        raise UnreadableInput(f"{origin}: not a path") from None  # it holds a null byte


def _read(file: Path | None, stdin: TextIO | None, shorten: Shorten | None) -> Iterator[Document]:
    origin = _words(file if file is not None else STANDARD_INPUT)
    for document in read_file(file, stdin, shorten):
        if not isinstance(document.value, dict):
            message = f"{origin}:{document.line}: {describe(document.value)} is not a Kubernetes object; give a mapping"
            raise UnreadableInput(message)
        yield Document(value=document.value, origin=origin, place=f"line {document.line}", errors=document.errors)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return (error.strerror or "cannot be read").lower()


def _words(path: Path | str) -> str:
    """A path as text that can be printed in one line, whatever bytes it is made of."""
    if str(path) == STANDARD_INPUT:
        return "standard input"
    text = str(path).encode(errors="backslashreplace").decode()
    return text if text.isprintable() else ascii(text)
