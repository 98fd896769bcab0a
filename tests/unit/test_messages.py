"""What users read: every diagnostic in its words, compared with tests/golden/messages.txt.

After a change of words that is meant, run this file with OVNQOS_UPDATE_GOLDEN=1 and review the difference.
"""

from __future__ import annotations

import io
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.diagnostics import Code, ObjectRef
from ovnqos.errors import InvalidObject, UnreadableInput
from ovnqos.sources import (
    load_manifests,
    parse_network_attachment_definition,
    parse_object,
    parse_policy,
    read_documents,
)
from ovnqos.sources.egress_qos import parse_egress_qos
from ovnqos.sources.pod_annotations import read_pod_qos
from ovnqos.sources.topology_map import parse_topology_map
from ovnqos.sources.yaml_json import parse_yaml
from tests.support import invalid_documents as cases
from tests.support import message_scenes as scenes
from tests.support.invalid_documents import EGRESS_QOS_OBJECT, POLICY, attachment_with, policy_with_block, with_value
from tests.support.verification import verify_diagnostics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovnqos.diagnostics import Diagnostic

    Section = Iterable[Diagnostic]

GOLDEN = Path(__file__).parents[1] / "golden" / "messages.txt"
POD = ObjectRef(kind="Pod", namespace="shop", name="web")


def test_every_message_is_as_the_golden_file_has_it(tmp_path: Path) -> None:
    found = "".join(f"{line}\n" for line in _lines(tmp_path))
    if os.environ.get("OVNQOS_UPDATE_GOLDEN"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_every_code_has_a_message_in_the_golden_file() -> None:
    found = {line.partition(" ")[0] for line in GOLDEN.read_text().splitlines()}
    assert set(Code) - found == {Code.UNREADABLE_OBJECT}  # of a parser that fails


def _lines(tmp_path: Path) -> Iterator[str]:
    """A section a source, each line `code severity path: text; hint`."""
    sections: dict[str, Section] = {
        "NetworkQoS": _policies(),
        "NetworkQoS: ipBlock": _blocks(),
        "NetworkQoS: label selectors": _selectors(),
        "EgressQoS": _egress_qos(),
        "NetworkAttachmentDefinition": _attachments(),
        "Pod, Namespace, Node": _workloads(),
        "objects of any kind": _kinds(),
        "QoS annotations": _annotations(),
        "topology map": _topology_maps(),
        "Compiler": scenes.compiled_diagnostics(),
        "plan": scenes.plan_diagnostics(),
        "verify -f": scenes.promise_diagnostics(),
        "conversion to annotations": scenes.annotation_diagnostics(),
        "conversion to NetworkQoS": scenes.network_qos_diagnostics(),
        "daemon": scenes.daemon_diagnostics(),
        "verify": verify_diagnostics(),
    }
    for title, diagnostics in sections.items():
        yield f"# {title}"
        for one in dict.fromkeys(diagnostics):
            assert one.message.isprintable()
            yield f"{one.code} {one.severity} {one.message}"
        yield ""
    yield "# files that cannot be read"
    yield from _unreadable_files(tmp_path)


def _unreadable_files(folder: Path) -> Iterator[str]:
    texts = [("x.yaml", text) for text, _ in cases.UNREADABLE_YAML]
    texts += [("x.json", text) for text, _ in cases.UNREADABLE_JSON]
    for name, text in texts:
        (folder / name).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(UnreadableInput) as raised:
            read_documents([folder / name])
        yield str(raised.value).removeprefix(f"{folder}/")


def _said_of(parse: Callable[[Any], Any], document: object) -> tuple[Diagnostic, ...]:
    """What a parser says of a document: errors and warnings."""
    try:
        parsed = parse(document)
    except InvalidObject as error:
        parsed = error
    diagnostics: tuple[Diagnostic, ...] = parsed.diagnostics
    return (*diagnostics, *parsed.warnings) if isinstance(parsed, InvalidObject) else diagnostics


def _policies() -> Section:
    for path, value, _ in cases.NETWORK_QOS:
        yield from _said_of(parse_policy, with_value(POLICY, path, value))
    for spec, _ in cases.UNKNOWN_FIELDS:
        yield from _said_of(parse_policy, {**POLICY, "spec": {**POLICY["spec"], **spec}})
    for path, value in cases.NETWORK_QOS_WARNINGS:
        yield from _said_of(parse_policy, with_value(POLICY, path, value))


def _blocks() -> Section:
    for cidr in cases.CIDRS:
        yield from _said_of(parse_policy, policy_with_block({"cidr": cidr}))
    for exception in cases.EXCEPTIONS:
        yield from _said_of(parse_policy, policy_with_block({"cidr": "10.0.0.0/8", "except": [exception]}))
    yield from _said_of(parse_policy, policy_with_block({"except": []}))


def _selectors() -> Section:
    for expression, _ in cases.EXPRESSIONS:
        selector = {"matchExpressions": [expression]}
        yield from _said_of(parse_policy, with_value(POLICY, "spec.podSelector", selector))
    for labels in ({"a b": "v"}, {"a": "b c"}):
        yield from _said_of(parse_policy, with_value(POLICY, "spec.podSelector", {"matchLabels": labels}))


def _egress_qos() -> Section:
    for path, value, _ in cases.EGRESS_QOS:
        yield from _said_of(parse_egress_qos, with_value(EGRESS_QOS_OBJECT, path, value))


def _attachments() -> Section:
    specs = [*(spec for spec, _ in cases.ATTACHMENT_SPECS)]
    specs += [attachment_with(change) for change, _ in cases.ATTACHMENT_CONFIGS]
    specs += [attachment_with({"topology": None}), attachment_with({"subnets": "10.1.2.3/8"})]
    for spec in specs:
        yield from _said_of(parse_network_attachment_definition, {"metadata": {"name": "net"}, "spec": spec})


def _workloads() -> Section:
    for parse, document, _ in cases.WORKLOADS:
        yield from _said_of(parse, document)


def _kinds() -> Section:
    for document, _ in cases.KINDS:
        yield from _said_of(parse_object, document)
    twice = io.StringIO("{kind: Pod, metadata: {name: a}}\n---\n{kind: Pod, metadata: {name: a}}")
    (duplicate,) = load_manifests(["-"], stdin=twice).invalid
    yield from duplicate.diagnostics


def _annotations() -> Section:
    for given in cases.ANNOTATIONS:
        yield from read_pod_qos(given, POD).diagnostics


def _topology_maps() -> Section:
    for text, _ in cases.TOPOLOGY_MAPS:
        (document,) = parse_yaml(text.encode())
        yield from _said_of(partial(parse_topology_map, errors=document.errors), document.value)
