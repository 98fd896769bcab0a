"""Selectors and rules, as NetworkQoS and EgressQoS objects have them: label selectors, classifiers, CIDRs and ports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from netaddr import cidr_merge

from ovnqos.diagnostics import Code
from ovnqos.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from ovnqos.model.policy import (
    EXCEPTIONS_MAXIMUM,
    PEERS_MAXIMUM,
    PORT_MAXIMUM,
    PORTS_MAXIMUM,
    SELECTOR_MAXIMUM,
    SELECTOR_VALUES_MAXIMUM,
    Classifier,
    IPBlock,
    PodPeer,
    PortMatch,
    Protocol,
)
from ovnqos.sources.fields import Fields, label_key_error, label_value_error
from ovnqos.sources.values import InvalidValueError, child_path, parse_cidr, show, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from netaddr import IPNetwork


_OPERATORS = {operator.value: operator for operator in Operator}
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_OPERATORS_OF_TEXT = {
    **dict.fromkeys(("=", "==", "in"), Operator.IN),
    **dict.fromkeys(("!=", "notin"), Operator.NOT_IN),
    "": Operator.EXISTS,
    "!": Operator.DOES_NOT_EXIST,
}
_REQUIREMENT = re.compile(
    r"\s*(?:!\s*(?P<absent>[\w./-]+)|(?P<key>[\w./-]+)"
    r"(?:\s*(?P<equal>==?|!=)\s*(?P<value>[\w.-]*)|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|\Z)"
)
_OPERATOR_WORDS = "In, NotIn, Exists or DoesNotExist"


def read_selector(fields: Fields, key: str, *, required: str = "") -> LabelSelector | None:
    """Read the label selector in a field.

    Args:
        fields: the mapping that holds it.
        key: the field.
        required: what to give when it is absent; makes absence an error.

    Returns:
        The selector; None when absent or invalid. An invalid requirement is an error and left out.
    """
    selector = fields.mapping(key, required=required)
    if selector is None:
        return None
    requirements = _match_labels(selector)
    for expression in selector.mappings("matchExpressions", maximum=SELECTOR_MAXIMUM) or ():
        requirement = _requirement(expression)
        if requirement is not None:
            requirements.append(requirement)
    return LabelSelector.of(requirements) if requirements else EVERYTHING


def parse_label_selector(text: str) -> LabelSelector:
    """Parse a selector as kubectl's `-l` takes it, e.g. `app=web,tier in (a,b),!old`.

    Raises:
        ValueError: with what is wrong.
    """
    requirements: list[Requirement] = []
    position = 0
    while position < len(text) or not requirements:
        match = _REQUIREMENT.match(text, position)
        if match is None or (match[0].endswith(",") and match.end() == len(text)):
            raise ValueError("must be a label selector such as app=web, app!=web, 'app in (web,db)', app or !app")
        position = match.end()
        key = match["absent"] or match["key"]
        values = [match["value"]] if match["value"] is not None else (match["values"] or "").split(",")
        operator = _OPERATORS_OF_TEXT[match["set"] or match["equal"] or ("!" if match["absent"] else "")]
        found = frozenset(map(str.strip, values)) if operator in _WITH_VALUES else frozenset()
        if error := label_key_error(key) or next(filter(None, map(label_value_error, sorted(found))), None):
            raise ValueError(error)
        requirements.append(Requirement(key=key, operator=operator, values=found))
    return LabelSelector.of(requirements)


def _match_labels(selector: Fields) -> list[Requirement]:
    requirements = []
    labels = selector.string_map("matchLabels")
    if len(labels) > SELECTOR_MAXIMUM:
        text = f"{len(labels)} labels are above the maximum of {SELECTOR_MAXIMUM}"
        selector.error("matchLabels", text, "select by fewer")
        return []
    for key, value in labels.items():
        error = label_key_error(key) or label_value_error(value)
        if error:
            selector.invalid(child_path("matchLabels", key), error)
        requirements.append(Requirement(key=key, operator=Operator.IN, values=frozenset((value,))))
    return requirements


def _requirement(expression: Fields) -> Requirement | None:
    key = expression.string("key", required="name the label")
    if key is not None and (error := label_key_error(key)):
        expression.invalid("key", error)
    word = expression.string("operator", required=f"use {_OPERATOR_WORDS}")
    values = expression.strings("values", maximum=SELECTOR_VALUES_MAXIMUM)
    for index, value in values.items():
        if error := label_value_error(value):
            expression.invalid(f"values[{index}]", error)
    if word is None:
        return None
    operator = _OPERATORS.get(word)
    if operator is None:
        expression.error(
            "operator", f"{show(word)} is not an operator", f"use {_OPERATOR_WORDS}", suggest(word, _OPERATORS)
        )
        return None
    if operator in _WITH_VALUES and not expression.get("values"):
        expression.missing("values", f"operator {operator} needs at least one value")
    if operator not in _WITH_VALUES and values:
        expression.error("values", f"operator {operator} takes no values", "remove them, or use In or NotIn")
    if key is None:
        return None
    return Requirement(key=key, operator=operator, values=frozenset(values.values()))


_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_POD_SELECTORS = ("podSelector", "namespaceSelector")
_R = TypeVar("_R")


def read_rules(spec: Fields, read: Callable[[Fields], _R], *, maximum: int, beyond: str) -> tuple[_R, ...]:
    """The rules of an object; a missing list and one that is too long are errors, an empty one draws a warning.

    Args:
        spec: the object's `spec`.
        read: reads one rule.
        maximum: how many rules are taken.
        beyond: what to do with more, for the hint.
    """
    entries = spec.mappings("egress")
    if entries is None:
        if not spec.has("egress"):
            spec.missing("egress", f"give a list of 1 to {maximum} rules")
        return ()
    if len(entries) > maximum:
        spec.error("egress", f"{len(entries)} rules are above the maximum of {maximum}", beyond)
    if not spec.get("egress"):
        spec.warn(Code.NO_EFFECT, "egress", "no rules, so the object does nothing", "add a rule or delete the object")
    return tuple(map(read, entries))


def read_classifier(rule: Fields, key: str) -> Classifier:
    """Read the classifier in a field; an absent one, or an absent or empty list in it, leaves that open."""
    classifier = rule.mapping(key)
    if classifier is None:
        return Classifier()
    return Classifier(
        destinations=_destinations(classifier), sources=_sources(classifier), ports=_port_matches(classifier)
    )


def _destinations(classifier: Fields) -> tuple[IPBlock | PodPeer, ...] | None:
    entries = classifier.mappings("to", maximum=PEERS_MAXIMUM)
    if not entries:
        return None
    found: list[IPBlock | PodPeer] = []
    for entry in entries:
        selectors = [key for key in _POD_SELECTORS if entry.has(key)]
        block = _ip_block(entry)
        peer = PodPeer(
            pod_selector=read_selector(entry, "podSelector"),
            namespace_selector=read_selector(entry, "namespaceSelector"),
        )
        if entry.has("ipBlock") and selectors:
            entry.error("", f"ipBlock and {' and '.join(selectors)} exclude each other", "make two entries of them")
        elif block is not None:
            found.append(block)
        elif selectors:
            found.append(peer)
        elif not entry.has("ipBlock"):
            entry.warn(Code.NO_EFFECT, "", "selects nothing", "give ipBlock, podSelector or namespaceSelector")
    return tuple(found)


def _sources(classifier: Fields) -> tuple[IPBlock, ...] | None:
    entries = classifier.mappings("from", maximum=PEERS_MAXIMUM)
    if not entries:
        return None
    found = []
    for entry in entries:
        selectors = [key for key in _POD_SELECTORS if entry.has(key)]
        for key in selectors:
            entry.error(key, "from takes an ipBlock only", "the source pods are chosen by spec.podSelector")
        block = _ip_block(entry)
        if block is not None:
            found.append(block)
        elif not entry.has("ipBlock") and not selectors:
            entry.warn(Code.NO_EFFECT, "", "selects nothing", "give ipBlock")
    return tuple(found)


def _ip_block(entry: Fields) -> IPBlock | None:
    block = entry.mapping("ipBlock")
    if block is None:
        return None
    text = block.string("cidr", required="give one like 10.0.0.0/8 or 2001:db8::/32")
    cidr = read_cidr(block, "cidr", text, or_address=True) if text is not None else None
    excluded = []
    for index, exception_text in block.strings("except", maximum=EXCEPTIONS_MAXIMUM).items():
        place = f"except[{index}]"
        exception = read_cidr(block, place, exception_text, or_address=True)
        if exception is None or cidr is None:
            continue
        if exception.version != cidr.version:
            block.error(
                place,
                f"{exception} is IPv{exception.version}, but the cidr {cidr} is IPv{cidr.version}",
                "write one ipBlock for each family",
            )
        elif exception not in cidr:
            block.error(place, f"{exception} does not lie inside the cidr {cidr}", "leave it out or widen the cidr")
        else:
            excluded.append(exception)
    if cidr is not None and sum(one.size for one in excluded) >= cidr.size and cidr_merge(excluded) == [cidr]:
        block.warn(Code.NO_EFFECT, "except", "excludes all of the cidr, so the entry selects nothing")
    return IPBlock(cidr=cidr, excluded=tuple(excluded)) if cidr is not None else None


def read_cidr(fields: Fields, place: str, text: str, *, or_address: bool = False) -> IPNetwork | None:
    """Parse the CIDR in a field, as `parse_cidr`; None where it is none, which is an error."""
    try:
        cidr, cleared = parse_cidr(text, or_address=or_address)
    except InvalidValueError as error:
        fields.invalid(place, error)
        return None
    if cleared:
        fields.warn(Code.HOST_BITS, place, cleared)
    return cidr


def _port_matches(classifier: Fields) -> tuple[PortMatch, ...] | None:
    entries = classifier.mappings("ports", maximum=PORTS_MAXIMUM)
    if not entries:
        return None
    found = []
    for entry in entries:
        protocol = _protocol(entry)
        port = entry.integer("port", "a port", 1, PORT_MAXIMUM)
        end_port = _end_port(entry, port)
        if protocol is not None or port is not None:
            found.append(PortMatch(protocol=protocol, port=port, end_port=end_port))
        elif not entry.has("protocol") and not entry.has("port"):
            entry.warn(
                Code.NO_EFFECT,
                "",
                "neither protocol nor port, so the entry is ignored; without another one every packet matches",
                "give protocol, port or both",
            )
    return tuple(found) or None


def _end_port(entry: Fields, port: int | None) -> int | None:
    end_port = entry.integer("endPort", "a port", 1, PORT_MAXIMUM)
    if end_port is not None and not entry.has("port"):
        entry.missing("port", "endPort is the last port of a range; give the first one")
    elif end_port is not None and port is not None and end_port < port:
        entry.error("endPort", f"{end_port} is below port {port}", "give the last port of the range")
    return end_port


def _protocol(entry: Fields) -> Protocol | None:
    word = entry.string("protocol")
    if word is None or word in _PROTOCOLS:
        return _PROTOCOLS[word] if word is not None else None
    if word.upper() in _PROTOCOLS:
        entry.error("protocol", f"{show(word)} must be in capitals", f"write {word.upper()}")
    else:
        entry.error("protocol", f"{show(word)} is not a protocol with ports", "use TCP, UDP or SCTP")
    return None
