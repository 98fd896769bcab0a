"""What is said of matches and packets is what OVN does with them, in both ways of looking rows up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.explain.explanation import RowVerdict
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match.verdict import Truth
from tests.support.explanation_agreement import compare_explanations
from tests.support.match_agreement import compare_verdicts
from tests.support.verdict_agreement import compare_verdicts as compare_verdicts_on_objects

if TYPE_CHECKING:
    from ovnqos.sandbox import Programs


def test_the_verdict_on_random_matches_is_what_ovn_does(programs: Programs) -> None:
    compared = compare_verdicts(programs, seed=2)
    assert not compared.wrong, compared.wrong[:5]
    assert min(compared.seen[Truth.YES, True], compared.seen[Truth.NO, False]) > 100


def test_explanations_of_random_packets_are_what_ovn_does(programs: Programs, ovn_version: str) -> None:
    compared = compare_explanations(programs, version=PipelineVersion.of_release(ovn_version), seed=3)
    assert not compared.wrong, compared.wrong[:5]
    assert len(compared.packets) >= 500
    assert len(compared.affected) >= 100
    assert all(compared.verdicts[one] for one in RowVerdict if one is not RowVerdict.MAY_WIN)


def test_verdicts_on_objects_are_what_ovn_does(programs: Programs, ovn_version: str) -> None:
    version = PipelineVersion.of_release(ovn_version)
    compared = compare_verdicts_on_objects(programs, version=version, packets=300, seed=2)
    assert not compared.wrong, compared.wrong[:3]
    assert compared.affected > 60
    assert compared.kept[True] > 30
    assert compared.kept[False]
