"""Merging: clusters whose accounts would be at home in one another are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.attribution.customers import find_customers
from linkage.attribution.profiles import count_members

if TYPE_CHECKING:
    from linkage.attribution.scores import Scores
    from linkage.config import MethodConfig

__all__ = ["merge_clusters"]

Ints = np.ndarray[Any, np.dtype[np.int64]]

MIN_AT_HOME: Final = 0.5  # of a cluster's accounts that fit another one, for it to be taken in


def merge_clusters(labels: Ints, scores: Scores, config: MethodConfig) -> Ints:
    """Let clusters take in others whose accounts would be at home in them.

    Parameters
    ----------
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    scores : Scores
        Of these labels.
    config : MethodConfig
        ``min_bits``, ``single_family_bits``, ``evading``, ``fdr``.

    Returns
    -------
    array of int64, shape (C,)
        The cluster that each has become part of; its own number where none takes it in.

    Notes
    -----
    Evidence of the whole group counts, not of some of its accounts. With b_a the bits by which
    account a of the guest is set apart as the host's (``Scores.apart``: only of families that are
    not bought from one vendor, other clusters counting as one outsider each, and no less than
    log2 of ``evading``), less what its silence in others says (``Scores.silence``) but for those
    who share its purpose, a cluster is taken in where::

        sum b_a >= min_bits + 2 log2 C

    for C clusters make C^2 pairs, and one of three holds:

    - half of the guest's accounts would belong to the host (a positive score that rests on two
      families), and the mean of b_a is ``min_bits`` or more;
    - the mean of b_a + log2(|host| / N) is ``single_family_bits`` or more;
    - guest and host have one purpose: half of the accounts of each share the other's prompts. With
      K accounts in all the clusters that do, the mean of b_a + log2(K / N) is ``min_bits`` or
      more: whoever has these prompts is in one of those clusters. Cells of an operator share
      nothing else; and what strangers have in common, accounts of no cluster have too.

    Of several hosts the one in which most accounts are at home takes it, or the larger. Customers
    of a cluster are not at home in it, nor is it taken in by a cluster of its customers, whose
    purpose it does not share.
    """
    sizes = count_members(labels)
    target = np.arange(len(sizes))
    counted = _count_guests(labels, scores, sizes, config)
    n_guests = sizes[counted["guest"].to_numpy()]
    share = counted["at_home"] / n_guests
    least = np.log2(config.evading)
    total = counted["apart"] + (n_guests - counted["n"]) * least
    mean = total / n_guests
    prior = np.log2(np.maximum(sizes[counted["host"].to_numpy()], 1) / max(len(labels), 1))
    kin = np.log2(np.maximum(counted["kin"].to_numpy(), 1) / max(len(labels), 1))
    served = counted["served"].to_numpy() >= MIN_AT_HOME * sizes[counted["host"].to_numpy()]
    served &= counted["purposeful"].to_numpy() < MIN_AT_HOME * n_guests
    fits = (
        ~served
        & (total >= config.min_bits + 2 * np.log2(max(int(np.count_nonzero(sizes)), 1)))
        & (
            ((share >= MIN_AT_HOME) & (mean >= config.min_bits))
            | (mean + prior >= config.single_family_bits)
            | ((counted["akin"] >= MIN_AT_HOME * n_guests) & (mean + kin >= config.min_bits))
        )
    )
    taken = counted.assign(share=share, prior=prior)[fits].sort_values(
        ["share", "prior", "guest", "host"], ascending=[False, False, True, True]
    )
    for guest, host in zip(taken["guest"].tolist(), taken["host"].tolist(), strict=True):
        taker = _follow(target, host)
        if target[guest] == guest and taker != guest:
            target[guest] = taker
    return np.array([_follow(target, cluster) for cluster in range(len(sizes))], np.int64)


def _count_guests(labels: Ints, scores: Scores, sizes: Ints, config: MethodConfig) -> pd.DataFrame:
    """Return, by ``guest`` and ``host``, how the guest's accounts fit the host.

    Columns ``n`` (accounts that touch it), ``akin`` (that share its purpose), ``kin`` (accounts of
    all clusters that do), ``at_home``, ``apart``, ``purposeful`` (that have its prompts), and
    ``served``: how many of the host's accounts are customers of the guest.
    """
    home, n_clusters = labels[scores.account], max(len(sizes), 1)
    row = np.flatnonzero((home >= 0) & ~scores.own)
    row = row[np.argsort(scores.account[row], kind="stable")]  # so that sums are always the same
    customer = find_customers(scores, config)[row]
    at_home = (scores.n_families[row] >= 2) & (scores.score[row] > 0) & ~customer
    # Cells of one purpose share nothing else, and need not.
    apart = scores.apart[row] + np.where(scores.kin[row] > 0, 0.0, scores.silence[row])
    apart = np.maximum(np.where(customer, -np.inf, apart), np.log2(config.evading))
    pair = home[row] * np.int64(n_clusters) + scores.cluster[row]
    found, code = np.unique(pair, return_inverse=True)
    back = found % n_clusters * n_clusters + found // n_clusters
    place = np.minimum(np.searchsorted(found, back), max(len(found) - 1, 0))
    akin = np.bincount(code, scores.kin[row] > 0, minlength=len(found))
    n_customers = np.bincount(code, customer, minlength=len(found))
    return pd.DataFrame(
        {
            "guest": found // n_clusters,
            "host": found % n_clusters,
            "n": np.bincount(code, minlength=len(found)),
            "akin": akin,
            "kin": np.bincount(code, scores.kin[row], minlength=len(found)) / np.maximum(akin, 1),
            "at_home": np.bincount(code, at_home, minlength=len(found)),
            "purposeful": np.bincount(code, scores.purposeful[row], minlength=len(found)),
            "apart": np.bincount(code, apart, minlength=len(found)),
            "served": np.where(found[place] == back, n_customers[place], 0.0),
        }
    )


def _follow(target: Ints, cluster: int) -> int:
    """Return the cluster that has taken in ``cluster`` in the end."""
    while target[cluster] != cluster:
        cluster = int(target[cluster])
    return cluster
