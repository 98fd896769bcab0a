"""`ovnqos demo` as root: the guide with packets, and nothing left behind."""

from __future__ import annotations

import re
import subprocess

import pytest

from ovnqos.sandbox import Programs
from tests.functional.support_demo import demo


@pytest.fixture(autouse=True)
def _needs_lab(lab: None) -> None:
    """These start nodes and pods of their own."""


def namespaces() -> set[str]:
    """The named network namespaces and the interfaces of this machine."""
    links = subprocess.run([*Programs().command("ip", "-o", "link")], capture_output=True, text=True, check=True)
    named = subprocess.run([*Programs().command("ip", "netns")], capture_output=True, text=True, check=True)
    return {line.split(":")[1].strip() for line in links.stdout.splitlines()} | set(named.stdout.split())


@pytest.mark.alone
def test_the_guide_is_measured_and_nothing_is_left() -> None:
    before = namespaces()
    with demo(unprivileged=False, seconds=5) as running:
        code = running.wait(timeout=300)
        assert code == 0, running.said
        assert "All checks passed" in running.said
        assert "FAILED" not in running.said
        for line in (
            r"pod0 to pod1, UDP +- +30\.00 Mbit/s ± 5 % +(29|30)\.\d\d Mbit/s +ok",
            r"pod2 to pod1, UDP +- +20\.02 Mbit/s ± 5 % +(19|20)\.\d\d Mbit/s +ok",
            r"pod0 to pod1, TCP +31\.9 Gbit/s +over 24\.00 Mbit/s +\d+\.\d\d [MG]bit/s +ok",
            r"pod2 to pod1, cubic +17\.4 Mbit/s +at most 20\.00 Mbit/s +\d+\.\d\d Mbit/s +ok",
            r"pod2 to pod1, cubic +17\.4 Mbit/s +15\.0 to 20\.8 Mbit/s +1\d\.\d\d Mbit/s +ok",
            r"pod0 to pod2, ping +(0x0/0x0 +){3}ok",
            r"pod1 to pod2, ping +(0x50/0x50 +){3}ok",
        ):
            assert re.search(line, running.said), running.said
        assert running.left_behind() == []
    assert namespaces() == before


@pytest.mark.parametrize("moment", ["private OVN", "$ ovnqos apply", "Section 4"])
def test_an_interrupt_ends_it_in_order(moment: str) -> None:
    before = namespaces()
    with demo(unprivileged=False, seconds=5) as running:
        running.read_until(moment)
        running.interrupt()
        assert running.wait(timeout=60) == 130
        assert "Traceback" not in running.said
        assert running.left_behind() == []
    assert namespaces() == before
