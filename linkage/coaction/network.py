"""Pairs of acts within a window, and the network of accounts that repeat them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from linkage.coaction.acts import Acts, read_acts
from linkage.coaction.reach import count_within, pair_within
from linkage.errors import ConfigError

__all__ = ["Coaction", "find_coaction"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MICROSECONDS: Final = 1_000_000  # a second
MAX_PAIRS: Final = 50_000_000  # pairs of acts that are listed; about 10 GB of tables


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coaction:
    """Who acted together.

    Attributes
    ----------
    pairs : pandas.DataFrame
        One row two acts on one object within the window: kind, object_id, account_id and content_id
        of the older act, account_id_y and content_id_y of the newer one, ts and ts_y (UTC),
        time_delta (seconds, 0 or more). In the order of kind, object and time.
    edges : pandas.DataFrame
        One row two accounts with a pair: account_id < account_id_y, weight (pairs), n_objects,
        avg_time_delta (seconds), n_content_id and n_content_id_y (distinct older and newer
        contents), edge_symmetry_score (the smaller of the two by the larger), weight_threshold (1
        where the weight is above the quantile ``edge_weight`` of all weights, else 0).
    components : pandas.DataFrame
        account_id and component (1 is the largest), over the edges above the threshold.
    n_left_out : int
        Rows of the observations without an account, a kind, a value or a time.
    """

    pairs: pd.DataFrame
    edges: pd.DataFrame
    components: pd.DataFrame
    n_left_out: int


def find_coaction(
    observations: pd.DataFrame,
    *,
    window_s: float = 10.0,
    min_participation: int = 2,
    edge_weight: float = 0.5,
    max_pairs: int = MAX_PAIRS,
) -> Coaction:
    """Find accounts that act on the same objects within a time window.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value (the object), ts and, where known, content_id; one row an act, as
        :func:`read_acts` takes them. An object is a kind and a value.
    window_s : float, default 10
        Seconds between two acts, at most.
    min_participation : int, default 2
        Acts that an account needs within a kind to take part at all; of the pairs found, those are
        kept of which one content is of an account with so many acts in pairs.
    edge_weight : float, default 0.5
        Quantile of the edges' weights, 0..1; edges above it make the components.
    max_pairs : int, default 50,000,000
        Refuse to look at more pairs of acts, those of one account included.

    Returns
    -------
    Coaction

    Raises
    ------
    SchemaError, InputError
        Where the observations cannot be read.
    ConfigError
        Where a setting is out of range, or the window holds more than ``max_pairs`` pairs.

    Notes
    -----
    The definitions are those of ``detect_groups`` and ``generate_coordinated_network`` of the R
    package CooRTweet (Righetti and Balluff), and so are the names of the columns: two acts on one
    object pair up where they are of different accounts and contents, no more than the window apart,
    and neither content is the object itself. Participation is counted in each kind by itself. Of
    two acts at the same time, that one counts as older whose account comes first in the
    observations; nothing else depends on the order of the rows.

    Acts are sorted by object and time, and each meets those after it until the window ends: the
    cost is that of sorting, and linear in the pairs, whose number is known before they are listed.

    Examples
    --------
    >>> seen = pd.DataFrame(
    ...     [("a", "x", 0), ("b", "x", 4), ("c", "x", 50), ("a", "y", 100), ("b", "y", 109)],
    ...     columns=["account_id", "value", "second"],
    ... )
    >>> seen = seen.assign(kind="url", ts=pd.to_datetime(seen["second"], unit="s"))
    >>> found = find_coaction(seen, window_s=10, edge_weight=0.0)
    >>> found.pairs[["object_id", "account_id", "account_id_y", "time_delta"]].values.tolist()
    [['x', 'a', 'b', 4.0], ['y', 'a', 'b', 9.0]]
    """
    if not window_s >= 0 or not np.isfinite(window_s):
        raise ConfigError(f"window_s must be 0 or more seconds; got {window_s!r}")
    if min_participation < 1:
        raise ConfigError(f"min_participation must be at least 1; got {min_participation!r}")
    if not 0 <= edge_weight <= 1:
        raise ConfigError(f"edge_weight must lie in 0..1; got {edge_weight!r}")
    acts = read_acts(observations)
    takes_part = _count_acts(acts, np.ones(len(acts.account), bool)) >= min_participation
    older, newer = _pair_acts(acts, takes_part, window_s, max_pairs)
    kept = _find_participating(acts, takes_part, older, newer, min_participation)
    older, newer = older[kept], newer[kept]
    edges = _weigh_edges(acts, older, newer, edge_weight)
    return Coaction(
        pairs=_tabulate_pairs(acts, older, newer),
        edges=edges,
        components=_find_components(edges),
        n_left_out=acts.n_left_out,
    )


def _count_acts(acts: Acts, counted: Bools) -> Ints:
    """Return for each act how many acts of its account and kind are counted, shape (n,)."""
    key = acts.account * len(acts.kinds) + acts.kind[acts.object]
    n = np.bincount(key[counted], minlength=acts.n_accounts * len(acts.kinds)).astype(np.int64)
    return np.asarray(n[key])


def _pair_acts(acts: Acts, takes_part: Bools, window_s: float, max_pairs: int) -> tuple[Ints, Ints]:
    """Return the acts that pair up, the older and the newer one; sorted by object and time."""
    rows = np.flatnonzero(takes_part & ~acts.is_object)
    order = rows[np.lexsort((_rank_rows(acts)[rows], acts.time_us[rows], acts.object[rows]))]
    counts = count_within(acts.object[order], acts.time_us[order], int(window_s * MICROSECONDS))
    if (n_pairs := int(counts.sum())) > max_pairs:
        raise ConfigError(
            f"a window of {window_s:g} s holds {n_pairs:,} pairs of acts, those of one account "
            f"included: more than max_pairs = {max_pairs:,}; take a smaller window, or leave out "
            "the most popular objects"
        )
    first, second = pair_within(counts)
    older, newer = order[first], order[second]
    apart = acts.account[older] != acts.account[newer]
    apart &= acts.content[older] != acts.content[newer]
    return older[apart], newer[apart]


def _rank_rows(acts: Acts) -> Ints:
    """Return the rank of each act by its account's first act of the kind, then by its own row."""
    key = acts.account * len(acts.kinds) + acts.kind[acts.object]
    first = np.full(acts.n_accounts * len(acts.kinds), len(key), dtype=np.int64)
    np.minimum.at(first, key, np.arange(len(key)))
    rank = np.empty(len(key), dtype=np.int64)
    rank[np.lexsort((np.arange(len(key)), first[key]))] = np.arange(len(key))
    return rank


def _find_participating(
    acts: Acts, takes_part: Bools, older: Ints, newer: Ints, min_participation: int
) -> Bools:
    """Return which pairs have a content of an account with enough acts in pairs."""
    # The same post may act on objects of several kinds; each kind is looked at by itself.
    content = acts.kind[acts.object] * len(acts.content_ids) + acts.content
    paired = takes_part & np.isin(content, content[np.concatenate([older, newer])])
    enough = paired & (_count_acts(acts, paired) >= min_participation)
    kept = np.unique(content[enough])
    return np.isin(content[older], kept) | np.isin(content[newer], kept)


def _tabulate_pairs(acts: Acts, older: Ints, newer: Ints) -> pd.DataFrame:
    times = acts.time_us.view("datetime64[us]")
    return pd.DataFrame(
        {
            "kind": acts.kinds[acts.kind[acts.object[older]]],
            "object_id": acts.object_values[acts.object[older]],
            "account_id": acts.account_ids[acts.account[older]],
            "account_id_y": acts.account_ids[acts.account[newer]],
            "content_id": acts.content_ids[acts.content[older]],
            "content_id_y": acts.content_ids[acts.content[newer]],
            "ts": pd.Series(times[older]).dt.tz_localize("UTC"),
            "ts_y": pd.Series(times[newer]).dt.tz_localize("UTC"),
            "time_delta": (acts.time_us[newer] - acts.time_us[older]) / MICROSECONDS,
        }
    )


def _weigh_edges(acts: Acts, older: Ints, newer: Ints, edge_weight: float) -> pd.DataFrame:
    left = np.minimum(acts.account[older], acts.account[newer])
    right = np.maximum(acts.account[older], acts.account[newer])
    key, edge, weight = np.unique(
        left * acts.n_accounts + right, return_inverse=True, return_counts=True
    )
    delta_s = (acts.time_us[newer] - acts.time_us[older]) / MICROSECONDS
    n_older = _count_distinct(edge, acts.content[older], len(key))
    n_newer = _count_distinct(edge, acts.content[newer], len(key))
    above = weight > np.quantile(weight, edge_weight) if len(key) else np.zeros(0, bool)
    return pd.DataFrame(
        {
            "account_id": acts.account_ids[key // max(acts.n_accounts, 1)],
            "account_id_y": acts.account_ids[key % max(acts.n_accounts, 1)],
            "weight": weight.astype(np.int64),
            "n_objects": _count_distinct(edge, acts.object[older], len(key)),
            "avg_time_delta": np.bincount(edge, delta_s, minlength=len(key)) / weight,
            "n_content_id": n_older,
            "n_content_id_y": n_newer,
            "edge_symmetry_score": np.minimum(n_older, n_newer) / np.maximum(n_older, n_newer),
            "weight_threshold": above.astype(np.int64),
        }
    )


def _count_distinct(group: Ints, value: Ints, n_groups: int) -> Ints:
    """Count the distinct values of each group, shape (n_groups,)."""
    rows = pd.DataFrame({"group": group, "value": value}).drop_duplicates()
    return np.bincount(rows["group"], minlength=n_groups).astype(np.int64)


def _find_components(edges: pd.DataFrame) -> pd.DataFrame:
    """Return the components over the edges above the threshold, numbered from the largest."""
    kept = edges[edges["weight_threshold"] == 1]
    ends = pd.concat([kept["account_id"], kept["account_id_y"]], ignore_index=True)
    code, accounts = pd.factorize(ends, sort=True)
    left, right = code[: len(kept)], code[len(kept) :]
    shape = (len(accounts),) * 2
    graph = sparse.csr_array((np.ones(len(kept)), (left, right)), shape=shape)
    n_components, label = connected_components(graph, directed=False)
    size = np.bincount(label, minlength=n_components)
    first = np.full(n_components, len(label))
    np.minimum.at(first, label, np.arange(len(label)))
    number = np.empty(n_components, dtype=np.int64)
    number[np.lexsort((first, -size))] = np.arange(1, n_components + 1)
    table = pd.DataFrame({"account_id": accounts, "component": number[label]})
    return table.sort_values(["component", "account_id"], ignore_index=True)
