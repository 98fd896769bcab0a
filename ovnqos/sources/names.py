"""The syntax of Kubernetes names and labels.

Source: Kubernetes documentation, "Object Names and IDs" and "Labels and Selectors" (RFC 1123 names; label keys with an
optional DNS prefix and a name of at most 63 characters; label values of at most 63).
"""

from __future__ import annotations

import re

from ovnqos.sources.fields import InvalidValueError, show

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
