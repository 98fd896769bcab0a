"""`ovnqos demo kube-ovn` and `ovnqos demo static` as root: measured, and nothing left behind."""

from __future__ import annotations

import re

import pytest

from tests.functional.support_demo import demo


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("scene", "lines"),
    [
        (
            "kube-ovn",
            [
                r"backup to store \(10\.17\.0\.3\), ping +tos 0x28 +tos 0x28 +ok",
                r"guest to box \(10\.17\.0\.3\), ping +tos 0x0 +tos 0x0 +ok",
                r"guest to vault \(10\.17\.0\.4\), UDP +20\.80 Mbit/s ± 5 % +(19|20|21)\.\d\d Mbit/s +ok",
                r"guest to box \(10\.17\.0\.3\), UDP +30\.00 Mbit/s ± 5 % +(28|29|30)\.\d\d Mbit/s +ok",
            ],
        ),
        (
            "static",
            [
                r"backup to appliance \(10\.88\.0\.6\), ping +tos 0x28 +tos 0x28 +ok",
                r"backup to web \(10\.88\.0\.4\), ping +tos 0x0 +tos 0x0 +ok",
                r"backup to store \(10\.88\.0\.5\), UDP +20\.80 Mbit/s ± 5 % +(19|20|21)\.\d\d Mbit/s +ok",
            ],
        ),
    ],
)
def test_marks_and_rates_are_as_they_should_be(scene: str, lines: list[str]) -> None:
    with demo(scene, unprivileged=False, seconds=5) as running:
        code = running.wait(timeout=300)
        assert code == 0, running.said
        assert "FAILED" not in running.said
        assert "All checks passed" in running.said
        for line in lines:
            assert re.search(line, running.said), running.said
        assert running.left_behind() == []
