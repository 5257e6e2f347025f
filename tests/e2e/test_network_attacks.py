"""The network attacks of `make attack`."""

from __future__ import annotations

import pytest

from benchmarks import attack_network


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    if attack_network.network_command() is None:
        pytest.skip("no network can be made here")
    return attack_network.network_attacks(tmp_path_factory.mktemp("network"), timed=False)


@pytest.mark.parametrize("attack", attack_network.ATTACKS)
def test_nothing_leads_inside_and_nobody_waits_for_a_silent_name(outcomes, attack):
    assert outcomes[attack].holds, outcomes[attack].figures
