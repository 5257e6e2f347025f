"""Which addresses the service may connect to: the public internet, nothing that is inside a network.

The guard against server-side request forgery; `fetcher.py` connects only to what passes here.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # a cloud's metadata service, inside public space
        "192.0.0.0/24",  # protocol assignments, some of which count as global
        "192.31.196.0/24",  # AS112, here and below: anycast into the nearest network
        "192.52.193.0/24",  # multicast tunnels
        "192.175.48.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: the IPv4 address inside may be private
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is assigned of IPv6; what lies outside is local, a tunnel (NAT64, IPv4-compatible) or not yet anything."""


def is_public(address: IpAddress) -> bool:
    """Whether an address is a unicast address of the public internet.

    An IPv4-mapped IPv6 address is judged by the IPv4 address in it; addresses that tunnel another one are refused.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED_NETWORKS)


def parse_address(text: str) -> IpAddress | None:
    """An address as a resolver gives it, its scope id dropped; None when it is none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
