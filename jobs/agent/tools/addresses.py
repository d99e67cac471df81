"""Addresses of the web: which hosts a person has allowed, and which addresses are not of the open internet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import httpx

STANDARD = {"http": 80, "https": 443}
_METADATA = frozenset({"168.63.129.16"})
"""What a cloud's machines ask for their own secrets, and what looks like any other address. The others are link-local."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def host_of(url: httpx.URL) -> str:
    """The host of ``url`` as it is compared: ASCII, small letters, no dot at its end, no brackets."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def port_of(url: httpx.URL) -> int:
    """The port of ``url``, also where it is not written."""
    return url.port or STANDARD.get(url.scheme, 0)


def is_here(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine by its very form."""
    try:
        found = _inmost(ipaddress.ip_address(host))
        return found.is_loopback or found.is_unspecified
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_inner(address: str) -> bool:
    """Whether ``address`` is anything else than one machine of the open internet: this machine, its network, its cloud."""
    try:
        found = _inmost(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return True
    return not found.is_global or found.is_multicast or str(found) in _METADATA


def _inmost(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for, where it is made of one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def allows(entries: Iterable[str], url: httpx.URL) -> bool:
    """Whether one of ``entries`` covers ``url``. ``example.org`` is this host alone, at the usual ports; ``*.example.org`` all
    below it; ``example.org:8080`` is it at that port."""
    host, port = host_of(url), port_of(url)
    return any(_covers(entry, host, port) for entry in entries)


def _covers(entry: str, host: str, port: int) -> bool:
    entry = entry.strip()
    below = entry.startswith("*.")
    try:
        parsed = httpx.URL(f"http://{entry.removeprefix('*.')}")
    except httpx.InvalidURL:
        return False
    named = host_of(parsed)
    # "http://host:80" comes back without its port.
    written = parsed.port or (80 if entry.endswith(":80") else None)
    if not named or parsed.raw_path != b"/" or port not in ((written,) if written else STANDARD.values()):
        return False
    return host.endswith(f".{named}") if below else host == named
