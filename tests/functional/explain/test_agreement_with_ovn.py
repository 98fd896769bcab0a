"""What is said of matches and packets is what OVN, as installed here, does with them."""

from __future__ import annotations

from ovnqos.explain.explanation import RowVerdict
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match.verdict import Truth
from tests.support import explanation_agreement, match_agreement
from tests.support.ovn_programs import ovn_version


def test_the_verdict_on_random_matches_is_what_ovn_does() -> None:
    compared = match_agreement.compare_verdicts()
    assert not compared.wrong, compared.wrong[:5]
    assert compared.seen[Truth.YES, True] > 100
    assert compared.seen[Truth.NO, False] > 100
    unknown = compared.seen[Truth.UNKNOWN, True] + compared.seen[Truth.UNKNOWN, False]
    assert unknown < sum(compared.seen.values()) / 10


def test_explanations_of_random_packets_are_what_ovn_does() -> None:
    version = PipelineVersion.of_release(ovn_version())
    compared = explanation_agreement.compare_explanations(version=version)
    assert not compared.wrong, compared.wrong[:5]
    assert len(compared.packets) >= 500
    assert len(compared.affected) >= 100
    assert len(compared.uncertain) < len(compared.packets) / 10
    assert all(
        compared.verdicts[one]
        for one in (RowVerdict.WINS, RowVerdict.SHADOWED, RowVerdict.UNDEFINED, RowVerdict.NO_MATCH)
    )
