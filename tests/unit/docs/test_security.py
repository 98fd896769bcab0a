"""docs/security.md says the rights and bounds that there are."""

from __future__ import annotations

import re

from ovnqos.compile import overlaps
from ovnqos.model import policy, workloads
from tests.support.deploy import DEPLOY, ROOT, documents

PAGE = (ROOT / "docs" / "security.md").read_text()


def test_the_table_of_rights_is_that_of_the_manifests() -> None:
    table = PAGE.partition("<!-- rights -->")[2].partition("<!-- end of rights -->")[0]
    said = set()
    for line in table.strip().splitlines():
        group, resource, verbs, why = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        assert why
        said |= {("" if group == "core" else group, resource, verb) for verb in verbs.split(", ")}
    shipped = {
        (group, resource, verb)
        for name in ("cluster-role.yaml", "role.yaml")
        for document in documents(DEPLOY / "base" / name)
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert said == shipped


def test_the_table_of_bounds_has_the_numbers_of_the_code() -> None:
    table = PAGE.partition("## Bounds")[2].partition("## ")[0]
    numbers = {
        int(found.replace(",", ""))
        for line in table.splitlines()
        if line.startswith("|")
        for found in re.findall(r"[0-9][0-9,]*", line.rstrip("|").rpartition("|")[2])
    }
    assert numbers == {
        policy.RULES_MAXIMUM,
        policy.PEERS_MAXIMUM,
        policy.PORTS_MAXIMUM,
        policy.EXCEPTIONS_MAXIMUM,
        policy.CIDRS_MAXIMUM,
        policy.PEER_SELECTORS_MAXIMUM,
        policy.SELECTOR_MAXIMUM,
        policy.SELECTOR_VALUES_MAXIMUM,
        policy.ROWS_MAXIMUM,
        policy.MATCHES_MAXIMUM,
        policy.MEMBERS_MAXIMUM,
        workloads.INTERFACES_MAXIMUM,
        workloads.ADDRESSES_MAXIMUM,
        workloads.ANNOTATION_LENGTH_MAXIMUM,
        overlaps.RIVALS_MAXIMUM,
        200,  # diagnostics
    }
