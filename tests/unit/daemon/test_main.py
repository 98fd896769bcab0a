"""The zone's name: one answer of the API does not decide it for as long as the process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ovnqosd.main import find_zone
from ovnqosd.settings.settings import Mode, Settings
from tests.support.scripted_api import ScriptedApi, client_of, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.scripted_api import Exchange

ZONE = Settings(mode=Mode.ZONE, node="n1")
FORBIDDEN, BUSY = refusal(403, "Forbidden"), refusal(503, "ServiceUnavailable")


def _node(exchange: Exchange) -> None:
    exchange.send_json(200, {"metadata": {"name": "n1", "annotations": {"k8s.ovn.org/zone-name": "rack-a"}}})


@pytest.mark.parametrize("answers", [(), (FORBIDDEN,), (BUSY, BUSY)], ids=["at once", "after a 403", "after 503s"])
def test_the_zone_is_that_of_the_node(tmp_path: Path, answers: tuple[Callable[[Exchange], None], ...]) -> None:
    with capture_logs() as logs, ScriptedApi(*answers, _node) as api, client_of(api.url, tmp_path) as client:
        assert find_zone(ZONE, client, (0.0, 0.0)) == "rack-a"
    assert logs == []


def test_a_node_that_is_not_readable_gives_the_zone_its_name_and_is_told(tmp_path: Path) -> None:
    with capture_logs() as logs, ScriptedApi(FORBIDDEN, FORBIDDEN) as api, client_of(api.url, tmp_path) as client:
        assert find_zone(ZONE, client, (0.0,)) == "n1"
    assert [line["log_level"] for line in logs] == ["warning"]
