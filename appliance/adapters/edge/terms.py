"""Owns what the client is told: the edge's address and limits, and what a teacher's bundle says of itself.

Never in here: reading a config or a bundle, which the daemon does.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from appliance.adapters.tls import Tls
from appliance.errors import ConfigError

OWN_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8", "::1/128",
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
        "169.254.0.0/16", "fe80::/10",
        "100.64.0.0/10",
    )
)  # fmt: skip
"""Addresses that no stranger's machine has: loopback, private (RFC 1918, RFC 4193), link-local, and the shared space of overlay networks
(RFC 6598). Unencrypted HTTP is spoken with these alone."""


def own(address: str) -> bool:
    """Return whether `address`, in numbers, belongs to the own network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in network for network in OWN_NETWORKS)


class Teacher(msgspec.Struct, frozen=True):
    """A bigger model that an edge may run, as its bundle says: what is asked, and how it proves to be that very model.

    `features` (F) and `labels` (L) count and order rows and probabilities; `golden_rows` (G, F) must give `golden_probabilities` (G, L).
    `steps` (F,): by how much a feature may differ in a like case; none: buckets can't be made finer.
    """

    name: str
    version: int
    digest: str
    labels: tuple[str, ...]
    features: int
    golden_rows: tuple[tuple[float, ...], ...]
    golden_probabilities: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...] = ()


class EdgeSettings(msgspec.Struct, frozen=True):
    """`[edge]`, with the token read from its file. The names are the config's.

    Raises (on `check`):
        ConfigError: it can't work, or would speak unencrypted with a stranger's machine.
    """

    url: str
    token: str | None = None
    tls: Tls | None = None
    deadline_ms: int = 300
    cases_percent: float = 5.0
    mb_a_day: float = 1.0
    cache_entries: int = 10_000
    cache_days: float = 30.0
    recheck_percent: float = 2.0
    wrong_hit_percent: float = 5.0

    @property
    def encrypted(self) -> bool:
        """Whether the link is."""
        return self.url.startswith("https:")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if self.encrypted else 80)

    @property
    def path(self) -> str:
        """What precedes the protocol's own paths, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    def check(self) -> None:
        """Raise ConfigError where it can't work; certificates are read, nothing is connected."""
        try:
            host, _ = self.address
            host.encode("idna")
        except ValueError:
            raise ConfigError(
                f"[edge] url {self.url!r} is no address", hint="write it as http://nas.local:8478"
            ) from None
        if self.encrypted:
            (self.tls or Tls(section="edge.tls")).context()
        elif self.tls is not None:
            raise ConfigError(
                "[edge.tls] is set, but [edge] url begins with http:",
                hint="write https:, or remove [edge.tls]",
            )
        elif _literal(host) and not own(host):
            raise ConfigError(
                f"[edge] url: {host} is not of the own network, and http: is not encrypted",
                hint="use https:, or an address at home",
            )
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise ConfigError(
                "[edge] token_file: its first line holds no token",
                hint="write the token into it: printable characters, one line",
            )

    def weaknesses(self) -> tuple[str, ...]:
        """Return what an attacker in the own network could make use of."""
        found = []
        if not self.encrypted and self.address[0] not in ("localhost", "127.0.0.1", "::1"):
            what = "features and the token" if self.token is not None else "features"
            found.append(f"the edge is asked unencrypted: who is in the network can read {what}, and answer")
        if self.tls is not None and self.tls.insecure:
            found.append("the edge's certificate is not checked: who is in the network can answer for it")
        return tuple(found)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def finer(teacher: Teacher, row: Sequence[float], bucket: tuple[int, ...], scale: int) -> tuple[int, ...]:
    """Return the bucket of `row` where each is 2^scale times as fine; at scale 0 that is `bucket`."""
    if not scale:
        return bucket
    return tuple(round(value / step * 2**scale) for value, step in zip(row, teacher.steps, strict=True))
