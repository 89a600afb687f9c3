"""Which addresses a user's wishes may make this process connect to: by default public ones alone.

A server that sends to wherever a user says can be had to knock at the machines beside it (SSRF). A name may mean
another address each time it is looked up, a server may redirect, a library may do its own thing: so the interpreter
has every connection looked at, whoever makes it (PEP 578).
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

_CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(OSError):
    """This process must not connect there, or start that."""


def is_allowed(host: str, local: bool) -> bool:
    """Whether an address, as text, may be connected to. local: private ones and loopback may.

    What is link-local never may: clouds tell a machine its own secrets there.
    """
    try:
        address = _meant(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return local or address.is_global


def is_address(host: str) -> bool:
    """Whether this is an address and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def reaches(host: str, local: bool) -> bool | None:
    """Whether all addresses of a host may be connected to; None when it has none. Only tells: confine() enforces."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return None
    return all(is_allowed(one, local) for one in found)


def confine(local: bool) -> None:
    """From now on this process connects nowhere else and starts no program: it cannot be undone."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTS:
            target = arguments[1]
            # A socket in the file system is no place on the net; a name here was not looked up by us.
            if not (isinstance(target, tuple) and is_allowed(str(target[0]), local)):
                raise Forbidden("The address is not a public one.")
        elif event in _STARTS:
            raise Forbidden("No program is started from here.")

    sys.addaudithook(look)


def _meant(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
