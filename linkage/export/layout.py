"""Positions of nodes: clusters as discs, identifiers inside, their accounts around them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linkage.export.packing import pack_circles

__all__ = ["Ends", "lay_out"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SWEEPS: Final = 12  # of the barycentre ordering
_GOLDEN: Final = (np.sqrt(5.0) - 1.0) / 2.0
_SPREAD: Final = 1.5  # a node's room, in diameters
_FILL: Final = 0.6  # part of a disc's area that its nodes' room takes
_RING_WIDTH: Final = 1.3  # of identifiers, in diameters
_CLEARANCE: Final = 1.15  # between the middles of two identifiers, in diameters
_GAP: Final = 0.07  # between clusters, in radii
_MIN_GAP: Final = 12.0  # layout units


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Edges by the rows of their ends, in a fixed order."""

    source: Ints  # shape (m,)
    target: Ints  # shape (m,)


def _find_groups(ends: Ends, cluster: Ints) -> tuple[Ints, int]:
    """Give clusters the numbers 0 .. k - 1; connected components where there is no cluster."""
    if (cluster >= 0).any():
        known, group = np.unique(cluster, return_inverse=True)
        shift = int(known[0] < 0)
        return group.astype(np.int64) - shift, len(known) - shift
    n = len(cluster)
    links = coo_array((np.ones(len(ends.source)), (ends.source, ends.target)), shape=(n, n))
    n_groups, component = connected_components(links, directed=False)
    return component.astype(np.int64), int(n_groups)


def _drop_foreign(ends: Ends, group: Ints, is_account: Bools) -> Ints:
    """Take out of their group those identifiers that are held by others for the greater part."""
    n = len(group)
    own = group[ends.source] == group[ends.target]
    held = np.bincount(ends.source, minlength=n) + np.bincount(ends.target, minlength=n)
    within = np.bincount(ends.source[own], minlength=n) + np.bincount(ends.target[own], minlength=n)
    return np.where(~is_account & (2 * within < held), -1, group)


def _rank_within(group: Ints, *keys: Ints | Floats) -> Ints:
    """Rank rows within their group by `keys`, the first one first; ties by row."""
    order = np.lexsort((*reversed(keys), group))
    sizes = np.bincount(group) if len(group) else np.zeros(0, dtype=np.int64)
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - first[group[order]]
    return rank


def _mean_of(rows: Ints, values: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    """Sum complex values by row; a sum's angle is the circular mean."""
    real = np.bincount(rows, weights=values.real, minlength=n)
    imaginary = np.bincount(rows, weights=values.imag, minlength=n)
    return np.asarray(real + 1j * imaginary)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    """The edges inside of clusters, from an account (or what stands for one) to an identifier."""

    account: Ints
    identifier: Ints
    weight: Floats  # the more, the fewer accounts of the cluster hold the identifier


def _find_inside(ends: Ends, group: Ints, is_account: Bools) -> _Inside:
    flip = ~is_account[ends.source] & is_account[ends.target]
    account = np.where(flip, ends.target, ends.source)
    identifier = np.where(flip, ends.source, ends.target)
    inside = (group[account] == group[identifier]) & (group[account] >= 0)
    inside &= is_account[account] & ~is_account[identifier]
    account, identifier = account[inside], identifier[inside]
    holders = np.bincount(identifier, minlength=len(group))[identifier]
    # An identifier of one account ties it to nobody.
    weight = np.where(holders > 1, 1.0 / np.maximum(holders, 1) ** 0.75, 1e-6)
    return _Inside(account=account, identifier=identifier, weight=weight)


def _first_order(inside: _Inside, group: Ints, accounts: Ints) -> Ints:
    """Rank accounts so that those whose rarest shared identifier is the same stand together."""
    n = len(group)
    order = np.lexsort((inside.identifier, -inside.weight, inside.account))
    leading = np.full(n, n, dtype=np.int64)
    holder, at = np.unique(inside.account[order], return_index=True)
    leading[holder] = inside.identifier[order][at]
    return _rank_within(group[accounts], leading[accounts])


def _order_accounts(inside: _Inside, group: Ints, accounts: Ints, n_groups: int) -> Floats:
    """Give accounts angles such that those with common identifiers are neighbours.

    Barycentre sweeps (Sugiyama, Tagawa, Toda 1981) on a circle: identifiers move to the mean
    direction of their accounts, accounts to that of their identifiers, and are spread evenly again.
    """
    n = len(group)
    size = np.bincount(group[accounts], minlength=n_groups)[group[accounts]]
    rank = _first_order(inside, group, accounts)
    angle = np.zeros(n)
    angle[accounts] = 2 * np.pi * (rank + 0.5) / size
    for _ in range(_SWEEPS):
        pull = _mean_of(inside.identifier, np.exp(1j * angle[inside.account]), n)
        pull /= np.maximum(np.abs(pull), 1e-9)
        own = _mean_of(inside.account, inside.weight * pull[inside.identifier], n)[accounts]
        own += 1e-3 * np.exp(1j * angle[accounts]) * np.maximum(np.abs(own), 1e-6)
        rank = _rank_within(group[accounts], np.angle(own) % (2 * np.pi), rank)
        angle[accounts] = 2 * np.pi * (rank + 0.5) / size
    return angle


def _sum_within(group: Ints, values: Floats) -> Floats:
    """Add up values from the first row of each group; rows of a group stand together."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    before = (total - values)[first]
    return np.asarray(total - np.repeat(before, np.diff(np.append(first, len(group)))))


def _assign_rings(group: Ints, size: Floats) -> tuple[Ints, Ints]:
    """Share out rows over the concentric rings that fill their group's disc.

    Rows of a group stand together, from the one in the middle outwards; a node's room grows with
    its size, and so does the width of its ring. Returns each row's ring, and each ring's group.
    """
    room = (_SPREAD * size / 2) ** 2 / _FILL
    filled = _sum_within(group, room)
    step = np.sqrt(filled) - np.sqrt(np.maximum(filled - room, 0.0))
    depth = np.floor(_sum_within(group, step / (_RING_WIDTH * size)))
    starts = (np.diff(group, prepend=-1) != 0) | (np.diff(depth, prepend=-1.0) != 0)
    # A ring is as wide as its largest node, so that small ones begin a ring of their own.
    starts[1:] |= size[1:] < 0.6 * size[:-1]
    return (np.cumsum(starts) - 1).astype(np.int64), group[starts]


def _measure_rings(ring: Ints, owner: Ints, size: Floats) -> Floats:
    """Find the radius of each ring, so that no two of its own or its neighbours' nodes touch."""
    room = _CLEARANCE * size
    around = np.bincount(ring, weights=room)
    widest = np.zeros(len(owner))
    np.maximum.at(widest, ring, room)
    # Two neighbours stand at most this far apart along the ring; a chord is shorter than its arc.
    half = np.pi * np.minimum(widest / around, 0.5)
    chord = np.where(np.bincount(ring) > 1, around / (2 * np.pi) * half / np.sin(half), 0.0)
    step = np.where(np.diff(owner, prepend=-1) == 0, (widest + np.roll(widest, 1)) / 2, 0.0)
    reach = _sum_within(owner, step)
    # radius[k] = max(chord[k], radius[k - 1] + step[k]), as a running maximum within the owner.
    slack = chord - reach
    lift = owner * (2.0 * np.abs(slack).max() + 1.0)
    return np.asarray(reach + np.maximum.accumulate(slack + lift) - lift)


def _space_rings(ring: Ints, wish: Floats, size: Floats) -> Floats:
    """Give a ring's nodes angles in the order of where they would be, and room by their size."""
    wish = wish % (2 * np.pi)
    order = np.lexsort((wish, ring))
    end = np.empty(len(ring))
    end[order] = _sum_within(ring[order], size[order])
    angle = 2 * np.pi * (end - size / 2) / np.bincount(ring, weights=size)[ring]
    # Turn each ring so that its nodes come as near to their wish as the spacing allows.
    turn = np.angle(_mean_of(ring, np.exp(1j * (wish - angle)), int(ring[-1]) + 1))
    return np.asarray(angle + turn[ring])


def _place_identifiers(
    inside: _Inside, group: Ints, rows: Ints, angle: Floats, size: Floats
) -> NDArray[np.complex128]:
    """Put hubs in the middle of their cluster and rare identifiers next to their accounts."""
    n = len(group)
    pull = _mean_of(inside.identifier, np.exp(1j * angle[inside.account]), n)
    holders = np.bincount(inside.identifier, minlength=n)
    order = rows[np.lexsort((rows, -holders[rows], -size[rows], group[rows]))]
    ring, owner = _assign_rings(group[order], size[order])
    distance = _measure_rings(ring, owner, size[order])[ring]
    angle_in_ring = _space_rings(ring, np.angle(pull[order]), size[order])
    position = np.zeros(n, dtype=np.complex128)
    position[order] = distance * np.exp(1j * angle_in_ring)
    return np.asarray(position[rows])


def _spread(step: Ints | Floats, count: Ints) -> Floats:
    """Return shares in [0, 1) by steps of the golden ratio, such that `count` steps close."""
    return np.asarray((step * np.round(count * _GOLDEN) / count) % 1.0)


def _place_accounts(
    group: Ints, rows: Ints, angle: Floats, size: Floats, inner: Floats
) -> tuple[NDArray[np.complex128], Floats]:
    """Spread accounts evenly over a ring around the identifiers; return the clusters' radii too.

    A lattice with steps of the golden ratio covers the ring without rows or gaps. A cluster of few
    accounts has them on one circle.
    """
    n_groups = len(inner)
    count = np.bincount(group[rows], minlength=n_groups)
    pitch = _SPREAD * np.bincount(group[rows], weights=size[rows], minlength=n_groups)
    pitch /= np.maximum(count, 1)
    start = inner + pitch
    circle = np.maximum(start, count * pitch / (2 * np.pi))
    outer = np.sqrt(start**2 + count * (pitch / 2) ** 2 / _FILL)
    thin = outer - start < 1.5 * pitch
    low, high = np.where(thin, circle, start), np.where(thin, circle, outer)
    of = group[rows]
    step = np.round(angle[rows] * count[of] / (2 * np.pi) - 0.5)
    share = _spread(step, count[of])
    radius = np.sqrt(low[of] ** 2 + (high[of] ** 2 - low[of] ** 2) * share)
    edge = np.where(count > 0, high + pitch, inner)
    return radius * np.exp(1j * angle[rows]), np.maximum(edge, 1.0)


def _draw_clusters(
    ends: Ends, group: Ints, n_groups: int, is_account: Bools, size: Floats
) -> tuple[NDArray[np.complex128], Floats]:
    """Place the nodes of every cluster around its own middle; return the clusters' radii too."""
    inside = _find_inside(ends, group, is_account)
    accounts = np.flatnonzero(is_account & (group >= 0))
    identifiers = np.flatnonzero(~is_account & (group >= 0))
    angle = _order_accounts(inside, group, accounts, n_groups)
    position = np.zeros(len(group), dtype=np.complex128)
    inner = np.zeros(n_groups)
    if len(identifiers):
        position[identifiers] = _place_identifiers(inside, group, identifiers, angle, size)
        reach = np.abs(position[identifiers]) + size[identifiers] / 2
        np.maximum.at(inner, group[identifiers], reach)
    position[accounts], radius = _place_accounts(group, accounts, angle, size, inner)
    return position, radius


def _find_outer_rings(size: Floats, inner: float) -> tuple[Ints, Floats]:
    """Share out nodes, largest first, over rings that begin at `inner`; return rings and radii."""
    room = _SPREAD * size
    ring = np.unique(np.floor(np.cumsum(room) / (2 * np.pi * inner)), return_inverse=True)[1]
    widest = np.zeros(int(ring[-1]) + 1)
    np.maximum.at(widest, ring, room)
    radius = inner + np.cumsum(widest) - widest / 2
    return ring.astype(np.int64), radius[ring]


def _draw_rings(
    position: NDArray[np.complex128], ends: Ends, rows: Ints, placed: Bools, size: Floats
) -> None:
    """Place `rows` on rings around all that is placed, each in the direction of its neighbours."""
    if not len(rows):
        return
    n = len(position)
    both = np.concatenate((ends.source, ends.target)), np.concatenate((ends.target, ends.source))
    near = placed[both[1]]
    pull = _mean_of(both[0][near], position[both[1][near]], n)
    order = rows[np.argsort(-size[rows], kind="stable")]
    reach = float((np.abs(position[placed]) + size[placed]).max()) if placed.any() else 0.0
    ring, radius = _find_outer_rings(size[order], reach * 1.05 + float(size[order[0]]))
    position[order] = radius * np.exp(1j * _space_rings(ring, np.angle(pull[order]), size[order]))


def lay_out(ends: Ends, cluster: Ints, is_account: Bools, size: Floats, *, seed: int) -> Floats:
    """Place a graph's nodes.

    Parameters
    ----------
    ends : Ends
        m edges.
    cluster : array of int, shape (n,)
        A node's cluster, -1 for none.
    is_account : array of bool, shape (n,)
    size : array of float, shape (n,)
        Diameters, in layout units.
    seed : int
        Turns each cluster by an angle of its own.

    Returns
    -------
    array of float, shape (n, 2)
        Around the origin.

    Notes
    -----
    A cluster is a disc: identifiers in the middle, the most widely held at the very centre, and
    accounts around, next to those with which they share rare identifiers. Discs are packed, the
    largest first. Nodes without a cluster lie on rings around all of them, identifiers inside; with
    them the identifiers that accounts of another cluster, or of none, hold for the greater part.
    Where no node has a cluster, connected components take their place.

    Examples
    --------
    >>> import numpy as np
    >>> ends = Ends(source=np.array([0, 1]), target=np.array([2, 2]))
    >>> is_account = np.array([True, True, False])
    >>> xy = lay_out(ends, np.zeros(3, dtype=np.int64), is_account, np.full(3, 5.0), seed=0)
    >>> np.allclose(xy[0] + xy[1], 0.0), np.allclose(xy[2], 0.0)
    (True, True)
    """
    group, n_groups = _find_groups(ends, cluster)
    group = _drop_foreign(ends, group, is_account)
    position, radius = _draw_clusters(ends, group, n_groups, is_account, size)
    placed = group >= 0
    turn = np.random.default_rng(seed).uniform(0.0, 2 * np.pi, n_groups)
    centre = pack_circles(radius * (1 + _GAP) + _MIN_GAP)
    middle = (centre[:, 0] + 1j * centre[:, 1])[group[placed]]
    position[placed] = middle + position[placed] * np.exp(1j * turn[group[placed]])
    for rows in (np.flatnonzero(~placed & ~is_account), np.flatnonzero(~placed & is_account)):
        _draw_rings(position, ends, rows, placed, size)
        placed = placed.copy()
        placed[rows] = True
    return np.column_stack((position.real, position.imag))
