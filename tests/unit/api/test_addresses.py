from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.addresses import is_public, parse_address

INSIDE = [
    "0.0.0.0",  # noqa: S104  nothing is bound here
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "5f00::1",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "2620:4f:8000::1",
    "2001:4:112::1",
    "1fff:ffff::1",
    "4000::1",
    "100:0:0:1::1",
    "::ffff:0:8.8.8.8",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::200e"]
PUBLIC += ["3fff:1000::1", "168.63.129.17", "192.31.197.1"]  # just outside what is refused


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_inside_a_network_is_not_public(text: str):
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public(text: str):
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_mapping_an_address_into_ipv6_changes_nothing(address: ipaddress.IPv4Address):
    assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_hidden_in_a_tunnel_is_never_public(address: ipaddress.IPv4Address):
    hidden = int(address)
    for tunnel in (0x0064FF9B << 96 | hidden, 0x2002 << 112 | hidden << 80, hidden):
        assert not is_public(ipaddress.IPv6Address(tunnel))


def test_a_scope_id_is_dropped():
    assert parse_address("fe80::1%eth0") == ipaddress.ip_address("fe80::1")


def test_a_name_is_not_an_address():
    assert parse_address("example.com") is None
