"""The network and its hosts. A sandbox runs on this machine only, the other networks never do."""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from src.domain.enums import Network
from src.domain.errors import ConfigError

_REST_VARIABLE = "ASTER_BASE_URL"
_STREAM_VARIABLE = "ASTER_WS_URL"
_DEFAULT_URLS: Mapping[Network, Mapping[str, str]] = {
    Network.MAINNET: {_REST_VARIABLE: "https://fapi.asterdex.com", _STREAM_VARIABLE: "wss://fstream.asterdex.com"},
    Network.TESTNET: {
        _REST_VARIABLE: "https://fapi.asterdex-testnet.com",
        _STREAM_VARIABLE: "wss://fstream.asterdex-testnet.com",
    },
}
_DOMAINS: Mapping[str, Network] = {"asterdex.com": Network.MAINNET, "asterdex-testnet.com": Network.TESTNET}
_SCHEMES: Mapping[str, tuple[str, str]] = {_REST_VARIABLE: ("https", "http"), _STREAM_VARIABLE: ("wss", "ws")}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The network and its URLs. ``unknown_hosts`` are outside Aster's domains."""

    network: Network
    base_url: str
    ws_url: str
    unknown_hosts: tuple[str, ...] = ()


def resolve_hosts(variables: Mapping[str, str]) -> Hosts:
    """Read ASTER_NETWORK, ASTER_BASE_URL and ASTER_WS_URL. Raises ConfigError with all faults."""
    addresses = {name: variables[name].rstrip("/") for name in (_REST_VARIABLE, _STREAM_VARIABLE) if name in variables}
    faults = [fault for name, text in addresses.items() for fault in _address_errors(name, text)]
    if faults:
        raise ConfigError(*faults)
    network = _network(variables.get("ASTER_NETWORK"), addresses.values())
    faults = _sandbox_errors(addresses) if network is Network.SANDBOX else _public_errors(network, addresses)
    if faults:
        raise ConfigError(*faults)
    chosen = {**_DEFAULT_URLS.get(network, {}), **addresses}
    hosts = [_host(text) for text in addresses.values()]
    unknown_hosts = [] if network is Network.SANDBOX else [host for host in hosts if _known_network(host) is None]
    return Hosts(network, chosen[_REST_VARIABLE], chosen[_STREAM_VARIABLE], tuple(unknown_hosts))


def is_local(host: str) -> bool:
    """Return whether a host name or address, in any spelling, refers to this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _short_address(name)
    return getattr(address, "ipv4_mapped", None) or address


def _short_address(name: str) -> ipaddress.IPv4Address | None:
    """Parse short forms that the operating system accepts too, like 127.1 and 0x7f000001."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, UnicodeEncodeError):
        return None


def _network(name: str | None, addresses: Iterable[str]) -> Network:
    """Return the named network, else the testnet if all addresses are its own, else the mainnet."""
    if name is None:
        known = {_known_network(_host(text)) for text in addresses}
        return Network.TESTNET if known == {Network.TESTNET} else Network.MAINNET
    try:
        return Network(name.lower())
    except ValueError as error:
        raise ConfigError(f'ASTER_NETWORK must be mainnet, testnet or sandbox, not "{name}".') from error


def _known_network(host: str) -> Network | None:
    matches = [network for domain, network in _DOMAINS.items() if host == domain or host.endswith(f".{domain}")]
    return matches[0] if matches else None


def _host(text: str) -> str:
    return urlsplit(text).hostname or ""


def _address_errors(name: str, text: str) -> list[str]:
    secure, plain = _SCHEMES[name]
    example = f"write it like {secure}://host or {plain}://127.0.0.1:8080"
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in (secure, plain) and _is_host_only(parts) and parts.port != 0
    except ValueError:  # invalid port or IPv6 address
        is_whole = False
    return [] if is_whole else [f"{name} is not a valid {secure} or {plain} address without a path: {example}."]


def _is_host_only(parts: SplitResult) -> bool:
    extras = (parts.username, parts.password, parts.path, parts.query, parts.fragment)
    return bool(parts.hostname) and not any(extras) and all(char.isprintable() and char != " " for char in parts.netloc)


def _sandbox_errors(addresses: Mapping[str, str]) -> list[str]:
    missing = [name for name in (_REST_VARIABLE, _STREAM_VARIABLE) if name not in addresses]
    faults = [f"{name} is missing: a sandbox needs the address that the launcher writes to .env." for name in missing]
    remote = [(name, _host(text)) for name, text in addresses.items() if not is_local(_host(text))]
    remedy = "a sandbox runs on this machine only: use 127.0.0.1, or set ASTER_NETWORK to the network of that host"
    return faults + [f"{name} is {host}, but {remedy}." for name, host in remote]


def _public_errors(network: Network, addresses: Mapping[str, str]) -> list[str]:
    checked = [(name, text, _public_error(network, text)) for name, text in addresses.items()]
    return [f"{name} is {_host(text)}, {fault}." for name, text, fault in checked if fault]


def _public_error(network: Network, text: str) -> str | None:
    host = _host(text)
    known = _known_network(host)
    if is_local(host):
        return f"which is this machine, not the {network.value}: set ASTER_NETWORK=sandbox or remove the address"
    if known not in (None, network):
        return f"which belongs to the {known.value}, but the network is {network.value}: change one of them"
    if urlsplit(text).scheme in ("http", "ws"):
        return "but without encryption others could read the key: use https and wss"
    return None
