"""The network attacks of `make attack`."""

from __future__ import annotations

import pytest

from benchmarks import attack_network


@pytest.mark.skipif(attack_network.network_command() is None, reason="no network can be made here")
@pytest.mark.parametrize("attack", [attack_network.forbidden_urls, attack_network.slow_names])
def test_nothing_leads_inside_and_nobody_waits_for_a_silent_name(tmp_path, attack):
    outcome = attack(tmp_path)
    assert outcome.holds, outcome.figures
