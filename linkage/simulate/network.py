"""Where requests come from: home lines on leased addresses, gateways, offices, servers, proxies.

Addresses are 64-bit codes until they are written. All of them come from ranges that are reserved,
private or kept for benchmarks and documentation:

=====================  ===========================================================
range                  stands for
=====================  ===========================================================
240.0.0.0/4            home lines (an access network has 251 addresses)
2001:db8::/32          home lines on IPv6 (a line has a /64; hosts change daily)
100.64.0.0/10          mobile carriers' gateways
172.16.0.0/12          offices, agencies, venues
10.0.0.0/8             campuses
198.18.0.0/15          servers: hosted runners, VPN exits, rented proxies, resellers
=====================  ===========================================================
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.errors import ConfigError
from linkage.simulate.clock import DAY_S
from linkage.simulate.draws import Floats, Ints, hash_keys

__all__ = ["ALWAYS", "Lines", "Network", "Sources", "hold_seconds", "lay_lines", "spell_addresses"]

ALWAYS: Final = float("inf")  # an account that holds its address for good

Range = Literal["carrier", "office", "campus", "server"]

_HOME: Final = 240 << 24
_RANGES: Final[dict[str, tuple[int, int]]] = {
    "carrier": (100 << 24 | 64 << 16, 1 << 22),
    "office": (172 << 24 | 16 << 16, 1 << 20),
    "campus": (10 << 24, 1 << 24),
    "server": (198 << 24 | 18 << 16, 1 << 17),
}
_NET_SIZE: Final = 251  # addresses of an access network: a prime, so that leases are one to one
_V6: Final = 1 << 62
_LEASE_DAYS: Final = (1.0, 7.0, 30.0, 1e6)  # how long access networks lease an address
_LEASE_SHARES: Final = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Home lines: row = line."""

    net: Ints  # access network
    slot: Ints  # place in the network, 0 to 250
    is_v6: Ints  # 1 for a line on IPv6
    lease_s: Floats  # seconds after which the network gives every line a new address
    phase_s: Floats  # offset of the leases

    def resolve(self, line: Ints, account: Ints, second: Floats) -> Ints:
        """Return the address codes that lines hold.

        Parameters
        ----------
        line, account : ndarray of int64, shape (n,)
        second : ndarray of float64, shape (n,)
            Seconds since the world's start.

        Returns
        -------
        ndarray of int64, shape (n,)
            Within one network and lease no two IPv4 lines hold the same address.

        Notes
        -----
        In lease e the line in slot k holds address (k m_e + c_e) mod 251, with m_e and c_e hashed
        from network and lease; it is one to one because 251 is prime.
        """
        net = self.net[line]
        lease = np.floor((second + self.phase_s[line]) / self.lease_s[line]).astype(np.int64)
        drawn = hash_keys(net, lease, 41)
        factor = 1 + (drawn % np.uint64(_NET_SIZE - 1)).astype(np.int64)
        shift = ((drawn >> np.uint64(20)) % np.uint64(_NET_SIZE)).astype(np.int64)
        v4 = _HOME + net * 256 + 1 + (self.slot[line] * factor + shift) % _NET_SIZE
        day = (second // DAY_S).astype(np.int64)
        host = (hash_keys(line, account, day, 42) >> np.uint64(32)).astype(np.int64)
        v6 = _V6 | ((net * 256 + self.slot[line]) << 32) | host
        return np.where(self.is_v6[line] == 1, v6, v4)


def lay_lines(rng: np.random.Generator, country: Ints, *, crowding: float, ipv6: float) -> Lines:
    """Connect homes to access networks of their country.

    Parameters
    ----------
    rng : numpy.random.Generator
    country : ndarray of int64, shape (n_lines,)
    crowding : float
        Lines per address, in (0, 1]: the denser, the more customers meet on one address over time.
    ipv6 : float
        Share of networks on IPv6, 0 to 1.

    Returns
    -------
    Lines
    """
    per_net = max(1, round(_NET_SIZE * crowding))
    order = np.lexsort((rng.random(len(country)), country))
    position = np.empty(len(country), dtype=np.int64)
    position[order] = np.arange(len(country))
    counts = np.bincount(country, minlength=1)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    nets = -(-counts // per_net)
    first_net = np.concatenate([[0], np.cumsum(nets)[:-1]])
    inside = position - first[country]
    net = first_net[country] + inside // per_net
    n_nets = int(nets.sum())
    leases = rng.choice(np.array(_LEASE_DAYS), size=n_nets, p=_LEASE_SHARES) * DAY_S
    phases = rng.random(n_nets) * leases
    v6 = (rng.random(n_nets) < ipv6).astype(np.int64)
    return Lines(
        net=net, slot=inside % per_net, is_v6=v6[net], lease_s=leases[net], phase_s=phases[net]
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """Everything that an account can send from: row = source; the first rows are the home lines."""

    lines: Lines
    low: Ints  # first address code of a pool, or first row of `relays`
    size: Ints
    hold_s: Floats  # how long an account keeps one address of the pool; 0: one request
    through: Ints  # 1 where the pool is a list of home lines
    relays: Ints  # home lines of residential pools, end to end

    def resolve(self, source: Ints, account: Ints, second: Floats, nonce: Ints) -> Ints:
        """Return the address codes of requests.

        Parameters
        ----------
        source, account : ndarray of int64, shape (n,)
        second : ndarray of float64, shape (n,)
            Seconds since the world's start.
        nonce : ndarray of int64, shape (n,)
            A number of its own for every request.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        n_lines = len(self.lines.net)
        codes = np.empty(len(source), dtype=np.int64)
        home = np.flatnonzero(source < n_lines)
        codes[home] = self.lines.resolve(source[home], account[home], second[home])
        pooled = np.flatnonzero(source >= n_lines)
        pool = source[pooled] - n_lines
        hold = self.hold_s[pool]
        stay = np.floor(second[pooled] / np.where(hold > 0, hold, 1.0)).astype(np.int64)
        key = hash_keys(account[pooled], pool, np.where(hold > 0, stay, nonce[pooled]), 43)
        chosen = self.low[pool] + (key % self.size[pool].astype(np.uint64)).astype(np.int64)
        through = self.through[pool] == 1
        codes[pooled[~through]] = chosen[~through]
        relayed = pooled[through]
        # Whoever uses a relay comes out of the same machine in that home.
        machine = np.full(len(relayed), -1, dtype=np.int64)
        codes[relayed] = self.lines.resolve(self.relays[chosen[through]], machine, second[relayed])
        return codes


class Network:
    """Hands out pools of addresses while a world is built; `freeze` gives the sources.

    Parameters
    ----------
    lines : Lines
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self._used = dict.fromkeys(_RANGES, 0)
        self._low: list[Ints] = []
        self._size: list[Ints] = []
        self._hold: list[Floats] = []
        self._through: list[Ints] = []
        self._relays: list[Ints] = []
        self._n_pools = 0
        self._n_relays = 0

    @property
    def n_lines(self) -> int:
        """Number of home lines, which are the first sources."""
        return len(self.lines.net)

    def add_pools(self, where: Range, sizes: Ints, hold_s: float) -> Ints:
        """Reserve runs of neighbouring addresses.

        Parameters
        ----------
        where : {'carrier', 'office', 'campus', 'server'}
        sizes : ndarray of int64, shape (k,)
            Addresses of each pool.
        hold_s : float
            Seconds for which an account keeps an address; 0 for one request, `ALWAYS` for good.

        Returns
        -------
        ndarray of int64, shape (k,)
            The pools' numbers as sources.

        Raises
        ------
        ConfigError
            If the range is used up.
        """
        base, room = _RANGES[where]
        # Pools do not touch: the gap keeps two tenants out of one run of addresses.
        ends = self._used[where] + np.cumsum(sizes + 3)
        if len(ends) and int(ends[-1]) > room:
            raise ConfigError(
                f"the world needs {int(ends[-1]):,} addresses of kind {where}, the range holds "
                f"{room:,}; lower addresses or shares"
            )
        if len(ends):
            self._used[where] = int(ends[-1])
        return self._append(base + ends - sizes - 1, sizes, hold_s, through=0)

    def add_relays(self, lines: Ints, hold_s: float) -> int:
        """Make a residential pool out of home lines.

        Parameters
        ----------
        lines : ndarray of int64, shape (k,)
            Lines that carry the pool's traffic; k >= 1.
        hold_s : float
            Seconds for which an account keeps a line.

        Returns
        -------
        int
            The pool's number as a source.
        """
        low = np.array([self._n_relays], dtype=np.int64)
        self._relays.append(lines)
        self._n_relays += len(lines)
        return int(self._append(low, np.array([len(lines)]), hold_s, through=1)[0])

    def share_pool(self, source: int, hold_s: float) -> int:
        """Rent a pool that others rent too, with a hold of one's own.

        Parameters
        ----------
        source : int
            A pool's number.
        hold_s : float
            Seconds for which an account keeps an address.

        Returns
        -------
        int
            A source with the same addresses.
        """
        pool = source - self.n_lines
        low = np.concatenate(self._low)[pool : pool + 1]
        size = np.concatenate(self._size)[pool : pool + 1]
        through = int(np.concatenate(self._through)[pool])
        return int(self._append(low, size, hold_s, through=through)[0])

    def _append(self, low: Ints, sizes: Ints, hold_s: float, *, through: int) -> Ints:
        self._low.append(low)
        self._size.append(sizes.astype(np.int64))
        self._hold.append(np.full(len(low), hold_s))
        self._through.append(np.full(len(low), through, dtype=np.int64))
        first = self.n_lines + self._n_pools
        self._n_pools += len(low)
        return np.arange(first, first + len(low))

    def freeze(self) -> Sources:
        """Return all sources as flat arrays."""
        none = np.zeros(0, dtype=np.int64)
        return Sources(
            lines=self.lines,
            low=np.concatenate([none, *self._low]),
            size=np.concatenate([none, *self._size]),
            hold_s=np.concatenate([np.zeros(0), *self._hold]),
            through=np.concatenate([none, *self._through]),
            relays=np.concatenate([none, *self._relays]),
        )


_BYTES: Final = pa.array([str(byte) for byte in range(256)])
_HEX: Final = pa.array([f"{group:x}" for group in range(1 << 16)])


def spell_addresses(codes: Ints) -> pa.Array:
    """Write address codes as IPv4 and IPv6 addresses.

    Parameters
    ----------
    codes : ndarray of int64, shape (n,)

    Returns
    -------
    pyarrow.StringArray
        Length n.

    Examples
    --------
    >>> spell_addresses(np.array([240 << 24 | 513])).to_pylist()
    ['240.0.2.1']
    """
    unique, inverse = np.unique(codes, return_inverse=True)
    is_v6 = unique >= _V6
    words = pa.concat_arrays([_spell_v4(unique[~is_v6]), _spell_v6(unique[is_v6])])
    return words.take(pa.array(inverse))


def _spell_v4(codes: Ints) -> pa.Array:
    parts = [_BYTES.take(pa.array((codes >> shift) & 255)) for shift in (24, 16, 8, 0)]
    return pc.binary_join_element_wise(*parts, ".")


def _spell_v6(codes: Ints) -> pa.Array:
    prefix = (codes >> 32) & ((1 << 30) - 1)
    host = hash_keys(codes, 44)
    groups = [(prefix >> 16) & 0xFFFF, prefix & 0xFFFF]
    groups += [
        ((host >> np.uint64(s)) & np.uint64(0xFFFF)).astype(np.int64) for s in (48, 32, 16, 0)
    ]
    parts = [_HEX.take(pa.array(group)) for group in groups]
    return pc.binary_join_element_wise(
        pa.repeat("2001", len(codes)), pa.repeat("db8", len(codes)), *parts, ":"
    )


def hold_seconds(rotation: float) -> float:
    """Return how long an account keeps an address at a rotation of 0 to 1.

    Parameters
    ----------
    rotation : float
        0: for good; 1: for one request; between, from 30 days down to a minute, geometrically.

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> round(hold_seconds(0.5) / 3600, 1)
    3.5
    """
    if rotation <= 0:
        return ALWAYS
    if rotation >= 1:
        return 0.0
    return float(30 * DAY_S * (60 / (30 * DAY_S)) ** rotation)
