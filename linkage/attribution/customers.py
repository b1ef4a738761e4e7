"""Customers: accounts that use what a cluster bought, and not for what it is for.

A reseller pays for many people and sends them through one network; so does an operator, and
sometimes one through the other. Card and addresses then agree by one cause, however many families
they are. What the accounts are *for* shows in the prompts: where a good part of a cluster sends
prompts of its own, accounts that send many prompts and none of these are somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from linkage.attribution.profiles import Matches
    from linkage.attribution.scores import Scores
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["PURPOSE", "find_aimless", "find_customers"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

PURPOSE: Final = "content"  # the family that shows what accounts are for
MIN_PURPOSE: Final = 1 / 4  # of a cluster's accounts share the prompts that are its purpose
MAX_HIT_RATE: Final = 0.98  # of the prompts of those who share some; nobody sends nothing else
MIN_ACCOUNTS: Final = 10  # of a cluster from which the usual share of aimless accounts is learnt


def find_aimless(
    graph: AccountGraph, said: Floats, matches: Matches, sizes: Ints, config: MethodConfig
) -> Flags:
    """Find accounts whose prompts are known and are not those of a cluster.

    Parameters
    ----------
    graph : AccountGraph
    said : array of float64, shape (R, F)
        Bits that each family says for each match.
    matches : Matches, R rows
    sizes : array of int64, shape (C,)
    config : MethodConfig
        ``min_bits`` that the silence has to say.

    Returns
    -------
    array of bool, shape (R,)
        True where ``MIN_PURPOSE`` of the cluster's accounts share prompts that say something for
        membership (a public tool's do not), this one does not, and so many of its own prompts are
        known that this says ``min_bits``: accounts that share some have a share r of their d
        prompts in common, so that having none has chance (1 - r)^d.
    """
    if PURPOSE not in graph.family_names:
        return np.zeros(len(matches.account), bool)
    family = graph.family_names.index(PURPOSE)
    prompts = np.zeros(len(graph.kind_names), bool)
    prompts[graph.kind_codes[graph.family_codes == family]] = True
    degree = graph.degrees[:, prompts].sum(axis=1)  # those that nobody shares are known as well
    shares = said[:, family] > 0
    sharing = matches.own & shares
    cluster, n_clusters = matches.cluster[sharing], len(sizes)
    n_sharing = np.bincount(cluster, minlength=n_clusters)
    common = np.bincount(cluster, matches.hits[sharing, family], minlength=n_clusters)
    held = np.bincount(cluster, degree[matches.account[sharing]], minlength=n_clusters)
    rate = np.minimum(common / np.maximum(held, 1), MAX_HIT_RATE)
    silence = -degree[matches.account] * np.log2(1 - rate[matches.cluster])
    purposeful = (n_sharing >= MIN_PURPOSE * sizes)[matches.cluster]
    return np.asarray(~shares & purposeful & (silence >= config.min_bits))


def find_customers(scores: Scores, config: MethodConfig) -> Flags:
    """Find accounts that belong to no cluster which they fit, for it has another purpose.

    Parameters
    ----------
    scores : Scores, R rows
    config : MethodConfig
        ``evading`` is the largest share of an operator's accounts that is taken for usual,
        ``fdr`` the level of the test.

    Returns
    -------
    array of bool, shape (R,)
        Aimless accounts, where there are more of them among those who fit the cluster than an
        operator usually has.

    Notes
    -----
    Some of an operator's accounts send nothing but cover. The usual share of them is that of the
    median member's cluster, or ``evading`` if that is less; k of n is more than usual if
    P(X >= k) <= ``fdr`` under Binomial(n, usual).
    """
    n_clusters = int(scores.cluster.max(initial=-1)) + 1
    members, aimless = scores.own, scores.aimless
    n = np.bincount(scores.cluster[members], minlength=n_clusters)
    k = np.bincount(scores.cluster[members & aimless], minlength=n_clusters)
    usual = min(_find_usual_share(k, n), config.evading)
    fits = (scores.score > 0) & (scores.n_families >= 2)  # wherever else they fit as well
    n = np.bincount(scores.cluster[fits], minlength=n_clusters)
    k = np.bincount(scores.cluster[fits & aimless], minlength=n_clusters)
    mixed = np.asarray(special.bdtrc(k - 1.0, n, usual)) <= config.fdr
    return np.asarray(aimless & mixed[scores.cluster])


def _find_usual_share(k: Ints, n: Ints) -> float:
    """Return the share of aimless accounts in the cluster of the median member; 1 if unknown."""
    enough = np.flatnonzero((n >= MIN_ACCOUNTS) & (k <= n / 2))
    if not len(enough):
        return 1.0
    share = (k[enough] + 0.5) / (n[enough] + 1)
    order = np.argsort(share, kind="stable")
    weight = np.cumsum(n[enough][order])
    return float(share[order][np.searchsorted(weight, weight[-1] / 2)])
