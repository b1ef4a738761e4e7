"""How surprising it is that two accounts act so close in time, given that they act on the same.

Sharing an object is evidence of its own, weighed elsewhere. Here only the timing counts: of all the
occasions on which two accounts came to one object within an hour, how many saw them come within
seconds, and how many would have by chance?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtrc
from scipy.stats import false_discovery_control

from linkage.coaction.acts import Acts, read_acts
from linkage.coaction.reach import count_within, pair_within
from linkage.errors import ConfigError
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkage.graph import AccountGraph

__all__ = ["CoactionWeights", "TimingConfig", "find_timing", "weigh_coaction"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MICROSECONDS: Final = 1_000_000  # a second
LEAST_P: Final = 1e-300  # below which a probability is not told


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConfig:
    """What counts as together."""

    horizon_s: float = 3_600.0  # acts further apart are no meeting: rhythms of the day cancel out
    windows_s: Sequence[float] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # the best one counts
    min_meetings: int = 2  # a pair that met once shows no pattern
    prior_meetings: float = 10.0  # weight of an object's kind against its own meetings
    max_crowd: float = 50.0  # others within the horizon of an act, on average, of one object
    max_pairs: int = 30_000_000  # meetings that are looked at; about 3 GB

    def __post_init__(self) -> None:
        """Refuse windows that tell nothing."""
        if not 0 < self.horizon_s < np.inf:
            raise ConfigError(f"horizon_s must be above 0 seconds; got {self.horizon_s!r}")
        if not self.windows_s or not all(0 < w < self.horizon_s for w in self.windows_s):
            raise ConfigError(
                f"windows_s must lie between 0 and horizon_s, {self.horizon_s:g} seconds; "
                f"got {tuple(self.windows_s)!r}"
            )
        for name in ("min_meetings", "max_crowd", "max_pairs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)!r}")
        if self.prior_meetings <= 0:
            raise ConfigError(f"prior_meetings must be above 0; got {self.prior_meetings!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoactionWeights:
    """What the timing of two accounts' acts says.

    Attributes
    ----------
    pairs : pandas.DataFrame
        One row two accounts that met ``min_meetings`` times or more: account_id < account_id_y,
        n_meetings, window_s (the window that says most), n_near (meetings within it), expected
        (how many by chance), p_value, q_value (Benjamini-Hochberg over all rows), bits (-log2 of
        p_value). The most surprising first.
    left_out : pandas.DataFrame
        Objects too crowded to be looked at: kind, object_id, n_visits, crowd (others within the
        horizon, on average).
    """

    pairs: pd.DataFrame
    left_out: pd.DataFrame


def weigh_coaction(
    observations: pd.DataFrame, config: TimingConfig | None = None
) -> CoactionWeights:
    """Weigh how close in time accounts act on the same objects.

    Parameters
    ----------
    observations : pandas.DataFrame
        One row an act, as :func:`linkage.coaction.find_coaction` takes them.
    config : TimingConfig, optional

    Returns
    -------
    CoactionWeights

    Raises
    ------
    SchemaError, InputError
        Where the observations cannot be read.

    Notes
    -----
    *Visits.* Acts of an account on an object are one visit until it stays away for the horizon H.
    *Meetings.* Two accounts meet where visits of theirs to one object begin within H of each other.
    What they do within H of the beginning of a meeting, on whatever objects, belongs to it: one
    post acts on a link, a domain and a picture at once. The lag of a meeting is that of its first
    object.

    *Null.* Given that two accounts meet, the lag tells nothing about who they are: it is below a
    window w with the probability

        p_jw = max(w / H, (x_jw + m p_kw) / (n_j + m))

    where n_j meetings on object j are of pairs that met only once, x_jw of them with a lag of at
    most w, and p_kw is the same share over the objects of j's kind and popularity (by factors of
    two). Popularity, activity and the rhythm of the day are in the meetings already; bursts on an
    object are in p_jw. Of K meetings, k have a lag of at most w: the p-value is the upper tail of a
    binomial with the mean of p_jw, which bounds that of unequal probabilities where k is above what
    is expected (Hoeffding 1956), times the number of windows (Bonferroni). The study of nerve cells
    knows such tests as interval jitter (Jeck and Niebur 2015, arXiv:1502.07907).

    What a closed group does in its own place is not told: where only the group visits an object,
    its lags are what is usual there.

    Acts of an innocent household fall close together as well: timing links, it accuses nobody.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> strangers = pd.DataFrame(
    ...     {"account_id": rng.permutation(400) % 100, "value": np.arange(400) // 4,
    ...      "second": rng.integers(0, 3_000, 400) + np.arange(400) // 4 * 100_000})
    >>> twins = pd.DataFrame(
    ...     {"account_id": ["x", "y"] * 5, "value": np.arange(10) // 2,
    ...      "second": np.arange(10) // 2 * 100_000 + np.arange(10) % 2})
    >>> seen = pd.concat([strangers, twins]).assign(kind="url")
    >>> found = weigh_coaction(seen.assign(ts=pd.to_datetime(seen["second"], unit="s")))
    >>> found.pairs.loc[found.pairs["q_value"] <= 0.01, ["account_id", "account_id_y", "n_near"]]
      account_id account_id_y  n_near
    0          x            y       5
    """
    acts = read_acts(observations)
    weights, left_out = _weigh_acts(acts, config or TimingConfig())
    pairs = pd.DataFrame(
        {
            "account_id": acts.account_ids[weights["left"]],
            "account_id_y": acts.account_ids[weights["right"]],
        }
    )
    return CoactionWeights(
        pairs=pairs.join(weights.drop(columns=["left", "right"])), left_out=left_out
    )


def find_timing(
    graph: AccountGraph, acts: pd.DataFrame, *, fdr: float, config: TimingConfig | None = None
) -> pd.DataFrame:
    """Return the timing of accounts of a graph as evidence between pairs of them.

    Parameters
    ----------
    graph : AccountGraph
    acts : pandas.DataFrame
        ``account`` and ``identifier`` (codes of the graph) and ``ts``, one row an act: the edges of
        the graph hold only when an account was first and last seen with an identifier.
    fdr : float
        False-discovery rate of the pairs that are returned, 0..1.
    config : TimingConfig, optional

    Returns
    -------
    pandas.DataFrame
        ``left`` < ``right`` (account codes) and ``bits``, sorted by the codes.
    """
    named = pd.DataFrame(
        {
            "account_id": graph.accounts["account_id"].to_numpy()[acts["account"]],
            "kind": graph.identifiers["kind"].to_numpy()[acts["identifier"]],
            "value": acts["identifier"].to_numpy(),
            "ts": acts["ts"].to_numpy(),
        }
    )
    found = read_acts(named)
    weights, _ = _weigh_acts(found, config or TimingConfig())
    sure = weights[weights["q_value"] <= fdr]
    code = pd.Index(graph.accounts["account_id"]).get_indexer(pd.Index(found.account_ids))
    ends = np.sort(code[sure[["left", "right"]].to_numpy()], axis=1)
    table = pd.DataFrame({"left": ends[:, 0], "right": ends[:, 1], "bits": sure["bits"].to_numpy()})
    return table.sort_values(["left", "right"], ignore_index=True)


def _weigh_acts(acts: Acts, config: TimingConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Weigh pairs of account codes; return them and the objects that were left out."""
    visit, left_out = _select_visits(acts, config)
    pair, place, lag_us = _list_meetings(acts, visit, config)
    pairs, met, n_meetings = np.unique(pair, return_inverse=True, return_counts=True)
    n_meetings = n_meetings.astype(np.int64)
    n_visits = np.bincount(acts.object[visit], minlength=acts.n_objects)
    # Objects of one kind that are visited about as often are alike.
    strata = acts.kind * 64 + np.log2(np.maximum(n_visits, 1)).astype(np.int64)
    once = n_meetings[met] == 1
    best = {
        "p_value": np.ones(len(pairs)),
        "window_s": np.zeros(len(pairs)),
        "n_near": np.zeros(len(pairs)),
        "expected": np.zeros(len(pairs)),
    }
    for window_s in sorted(config.windows_s):
        near = lag_us <= window_s * MICROSECONDS
        chance = _estimate_chance(
            near, once, place, strata, config.prior_meetings, window_s / config.horizon_s
        )
        expected = np.bincount(met, chance, minlength=len(pairs))
        n_near = np.bincount(met, near, minlength=len(pairs))
        tail = np.where(n_near > 0, bdtrc(n_near - 1, n_meetings, expected / n_meetings), 1.0)
        p_value = np.minimum(tail * len(config.windows_s), 1.0)
        better = p_value < best["p_value"]
        for name, value in (
            ("p_value", p_value), ("window_s", window_s), ("n_near", n_near),
            ("expected", expected),
        ):  # fmt: skip
            best[name] = np.where(better, value, best[name])
    table = pd.DataFrame(
        {
            "left": pairs // max(acts.n_accounts, 1),
            "right": pairs % max(acts.n_accounts, 1),
            "n_meetings": n_meetings,
            **best,
        }
    ).astype({"n_near": np.int64})
    table = table[table["n_meetings"] >= config.min_meetings]
    p_value = np.maximum(table["p_value"].to_numpy(), LEAST_P)
    q_value = false_discovery_control(p_value) if len(table) else p_value
    table = table.assign(p_value=p_value, q_value=q_value, bits=-np.log2(p_value))
    order = ["left", "right", "n_meetings", "n_near", "window_s", "expected", "p_value", "q_value",
             "bits"]  # fmt: skip
    table = table[order].sort_values(["p_value", "left", "right"], ignore_index=True)
    return table, left_out


def _select_visits(acts: Acts, config: TimingConfig) -> tuple[Ints, pd.DataFrame]:
    """Return the acts that begin a visit, by object and time, and the objects left out."""
    horizon_us = int(config.horizon_s * MICROSECONDS)
    rows = np.flatnonzero(~acts.is_object)
    rows = rows[np.lexsort((acts.time_us[rows], acts.account[rows], acts.object[rows]))]
    same = (np.diff(acts.object[rows]) == 0) & (np.diff(acts.account[rows]) == 0)
    stays = same & (np.diff(acts.time_us[rows]) <= horizon_us)
    visit = rows[np.append(True, ~stays)[: len(rows)]]
    visit = visit[np.lexsort((acts.account[visit], acts.time_us[visit], acts.object[visit]))]
    crowd = count_within(acts.object[visit], acts.time_us[visit], horizon_us)
    n_visits = np.bincount(acts.object[visit], minlength=acts.n_objects)
    n_pairs = np.bincount(acts.object[visit], crowd, minlength=acts.n_objects)
    mean = n_pairs / np.maximum(n_visits, 1)
    # The least crowded objects first, as far as there is room for their meetings.
    order = np.argsort(mean, kind="stable")
    room = np.empty(acts.n_objects, dtype=np.bool_)
    room[order] = np.cumsum(n_pairs[order]) <= config.max_pairs
    kept = room & (mean <= config.max_crowd)
    gone = np.flatnonzero(~kept)
    left_out = pd.DataFrame(
        {
            "kind": acts.kinds[acts.kind[gone]],
            "object_id": acts.object_values[gone],
            "n_visits": n_visits[gone],
            "crowd": mean[gone],
        }
    )
    return visit[kept[acts.object[visit]]], left_out


def _list_meetings(acts: Acts, visit: Ints, config: TimingConfig) -> tuple[Ints, Ints, Ints]:
    """Return of each meeting the pair of accounts as a number, the object, and the lag in us."""
    horizon_us = int(config.horizon_s * MICROSECONDS)
    first, second = pair_within(count_within(acts.object[visit], acts.time_us[visit], horizon_us))
    older, newer = visit[first], visit[second]
    apart = acts.account[older] != acts.account[newer]
    older, newer = older[apart], newer[apart]
    left = np.minimum(acts.account[older], acts.account[newer])
    right = np.maximum(acts.account[older], acts.account[newer])
    pair = left * acts.n_accounts + right
    start, lag = acts.time_us[older], acts.time_us[newer] - acts.time_us[older]
    # Of what begins at the same time, the largest lag speaks.
    order = np.lexsort((acts.object[older], -lag, start, pair))
    opens = np.zeros(len(order), dtype=np.bool_)
    compile_kernel(_open_meetings)(pair[order], start[order], horizon_us, opens)
    kept = order[opens]
    return pair[kept], acts.object[older[kept]], lag[kept]


def _estimate_chance(
    near: Bools, once: Bools, place: Ints, strata: Ints, prior: float, least: float
) -> Floats:
    """Return the chance of each meeting to be near, from pairs that met only once.

    Parameters
    ----------
    near, once : ndarray of bool, shape (n,)
        Whether a meeting is near, and whether its pair met only once.
    place : ndarray of int64, shape (n,)
        Object of each meeting.
    strata : ndarray of int64, shape (n_objects,)
        Which objects are alike.
    prior : float
        Meetings that the wider estimate counts for.
    least : float
        The chance where times are even within the horizon, 0..1.
    """
    overall = (near[once].sum() + prior * least) / (once.sum() + prior)
    n, x = (np.bincount(strata[place[rows]], minlength=strata.max(initial=0) + 1)
            for rows in (once, once & near))  # fmt: skip
    by_stratum = (x + prior * overall) / (n + prior)
    n, x = (np.bincount(place[rows], minlength=len(strata)) for rows in (once, once & near))
    by_object = (x + prior * by_stratum[strata]) / (n + prior)
    chance: Floats = np.maximum(by_object, least)[place]
    return chance


def _open_meetings(pairs: Any, starts: Any, horizon_us: int, opens: Any) -> None:
    """Mark the rows that begin a meeting; compiled by numba."""
    began = 0
    for row in range(len(pairs)):
        if row == 0 or pairs[row] != pairs[row - 1] or starts[row] - began > horizon_us:
            opens[row] = True
            began = starts[row]
