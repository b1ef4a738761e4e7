"""Attribution: which cluster an account belongs to, how surely, and by which identifiers.

A cluster's profile says, of each identifier that its members use, how much more often they use it
than everybody does. Every account, clustered or not, is scored against every profile that it
touches, as if it were not a member itself; the best cluster takes it if the score outweighs the
cluster's rarity. Repeated until nothing moves, this is expectation maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["Attribution", "attribute_accounts", "merge_clusters"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MIN_HOLDER_SHARE = 1 / 64  # of an identifier's holders, from which on it leads to a cluster
SETTLED = 0.001  # share of the clustered accounts that may still move when rounds end
MAX_CONTRACTIONS = 20  # rounds of merging; each at least removes one cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Accounts attributed to clusters.

    Attributes
    ----------
    labels : array of int64, shape (N,)
        Cluster of each account, from 0; -1 for none.
    probability : array of float64, shape (N,)
        Posterior that the account belongs to its cluster; 0 where it has none.
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``bits``: what each identifier of a member says
        for its membership, judged without the member itself; sorted.
    """

    labels: Ints
    probability: Floats
    evidence: pd.DataFrame


def attribute_accounts(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, config: MethodConfig
) -> Attribution:
    """Attribute accounts to the clusters that they resemble, until nothing moves.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``: the edges that take part.
    labels : array of int64, shape (N,)
        A first clustering; -1 for none.
    config : MethodConfig
        ``rounds``, ``min_probability``, ``max_family_bits``, ``min_accounts``.

    Returns
    -------
    Attribution

    Notes
    -----
    With n_cj of a cluster's |c| accounts holding identifier j, which d_j of N accounts hold::

        bits_cj = log2( (n_cj + d_j / N) / (|c| + 1) / (d_j / N) )
        score_ac = log2(|c| / N) + sum over families of min(cap, bits of the family)

    where a member is left out of n_cj, |c| and d_j. A family gives the bits of its strongest
    identifier, since addresses come in pools and prompts in programs and further ones say little;
    identifiers of chosen kinds add up. An account that is known in a family but shares nothing of
    it loses log2(1 - coverage), coverage being the share of members who do. The posterior is
    2^score_ac / (1 + sum_c 2^score_ac). Rounds end when at most ``SETTLED`` of the accounts move.
    """
    for _ in range(config.rounds):
        scores, evidence = score_accounts(graph, edges, labels, config)
        updated, probability = _choose_clusters(scores, graph.n_accounts, config)
        updated, probability = _drop_small(updated, probability, config.min_accounts)
        moved = np.count_nonzero(updated != labels)
        labels = updated
        if moved <= SETTLED * np.count_nonzero(labels >= 0):
            break
    kept = evidence[labels[evidence["account"].to_numpy()] == evidence["cluster"].to_numpy()]
    return Attribution(labels=labels, probability=probability, evidence=_sort_evidence(kept))


def score_accounts(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, config: MethodConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every account against every profile that it touches.

    Parameters
    ----------
    graph, edges, labels, config
        As for :func:`attribute_accounts`.

    Returns
    -------
    scores : pandas.DataFrame
        ``account``, ``cluster``, ``score`` (bits, prior included), ``n_families`` that support it.
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``bits`` > 0.
    """
    evidence = _weigh_identifiers(graph, edges, labels)
    families = _weigh_families(graph, evidence, config)
    sizes = _count_members(labels)
    families["own"] = labels[families["account"].to_numpy()] == families["cluster"].to_numpy()
    families["strong"] = families["bits"] >= config.min_bits
    grouped = families.groupby(["account", "cluster"], sort=True)
    scores = grouped.agg(
        score=("bits", "sum"), n_families=("strong", "sum"), own=("own", "first")
    ).reset_index()
    members = sizes[scores["cluster"].to_numpy()] - scores["own"].to_numpy()
    scores["score"] += np.log2(np.maximum(members, 1) / graph.n_accounts)
    scores["score"] += _penalise_silence(graph, edges, families, scores, sizes)
    return scores.drop(columns="own"), evidence


def merge_clusters(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, config: MethodConfig
) -> Ints:
    """Merge clusters that share more than separate operators would.

    Parameters
    ----------
    graph, edges, labels, config
        As for :func:`attribute_accounts`.

    Returns
    -------
    array of int64, shape (N,)
        Labels after merging.

    Notes
    -----
    A cluster is contracted to one node that uses what at least a tenth of its members use, and the
    rarity of an identifier is counted again in nodes: a template that a thousand accounts of one
    cluster share is held once. Clusters are then scored against each other's contracted profiles.
    They merge when the score is positive and rests on at least two families, or exceeds
    ``single_family_bits`` within one. Families that separate operators buy from one vendor
    (``shared_families``: addresses, programs) are never a reason to merge.
    """
    if labels.max(initial=-1) < 1:
        return labels
    for _ in range(MAX_CONTRACTIONS):
        pairs = _score_cluster_pairs(graph, edges, labels, config)
        if pairs.empty:
            return labels
        target = np.arange(labels.max() + 1)
        best = pairs.sort_values(["score", "left", "right"], ascending=[False, True, True])
        taken: set[int] = set()
        for left, right in zip(best["left"], best["right"], strict=True):
            if left not in taken and right not in taken:
                target[right] = left
                taken |= {left, right}
        labels = np.where(labels >= 0, target[labels], -1)
    return labels


def _weigh_identifiers(graph: AccountGraph, edges: pd.DataFrame, labels: Ints) -> pd.DataFrame:
    """Return the bits of every (account, cluster, identifier) that speaks for membership."""
    profile, sizes = _count_usage(edges, labels), _count_members(labels)
    profile = profile[profile["n"] >= 2]
    account, cluster = _find_candidates(graph, edges, labels, profile)
    identifiers = edges["identifier"].to_numpy(np.int64)
    starts = np.searchsorted(edges["account"].to_numpy(), np.arange(graph.n_accounts + 1))
    pair, edge = _expand(starts[account], starts[account + 1])
    account, cluster, identifier = account[pair], cluster[pair], identifiers[edge]
    key = profile["identifier"].to_numpy() * len(sizes) + profile["cluster"].to_numpy()
    wanted = identifier * len(sizes) + cluster
    row = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    held = np.where(key[row] == wanted, profile["n"].to_numpy()[row], 0) if len(key) else 0 * wanted
    own = (labels[account] == cluster).astype(np.int64)
    rate = np.maximum(graph.holders[identifier] - own, 1) / (graph.n_accounts - 1)
    others = np.maximum(held - own, 0)
    bits = np.log2((others + rate) / (sizes[cluster] - own + 1) / rate)
    keep = (others > 0) & (bits > 0)
    return pd.DataFrame(
        {
            "account": account[keep],
            "cluster": cluster[keep],
            "identifier": identifier[keep],
            "bits": bits[keep],
        }
    )


def _find_candidates(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, profile: pd.DataFrame
) -> tuple[Ints, Ints]:
    """Return the (account, cluster) pairs worth scoring, sorted.

    A pair is worth it where the account is a member, or holds an identifier of which the cluster's
    members are at least ``MIN_HOLDER_SHARE`` of the holders. An identifier thus leads to a bounded
    number of clusters, however many use it, and the cost stays linear in edges.
    """
    share = profile["n"].to_numpy() / graph.holders[profile["identifier"].to_numpy()]
    leads = profile[share >= MIN_HOLDER_SHARE]
    first = np.searchsorted(leads["identifier"], np.arange(graph.n_identifiers + 1))
    identifier = edges["identifier"].to_numpy()
    edge, row = _expand(first[identifier], first[identifier + 1])
    members = np.flatnonzero(labels >= 0)
    account = np.concatenate([edges["account"].to_numpy(np.int64)[edge], members])
    cluster = np.concatenate([leads["cluster"].to_numpy()[row], labels[members]])
    n_clusters = int(labels.max(initial=-1)) + 1
    key = np.unique(account * n_clusters + cluster)
    return key // max(n_clusters, 1), key % max(n_clusters, 1)


def _expand(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return, for ranges [begin, end), each range's number beside each position in it."""
    lengths = end - begin
    owner = np.repeat(np.arange(len(begin)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, begin[owner] + offset


def _count_usage(edges: pd.DataFrame, labels: Ints) -> pd.DataFrame:
    """Return ``identifier``, ``cluster``, ``n``: members of a cluster that hold an identifier."""
    cluster = labels[edges["account"].to_numpy()]
    member = cluster >= 0
    usage = pd.DataFrame(
        {"identifier": edges["identifier"].to_numpy(np.int64)[member], "cluster": cluster[member]}
    )
    counted = usage.groupby(["identifier", "cluster"], sort=True).size()
    return counted.rename("n").reset_index()


def _weigh_families(
    graph: AccountGraph, evidence: pd.DataFrame, config: MethodConfig
) -> pd.DataFrame:
    """Return ``account``, ``cluster``, ``family``, ``bits``: what each family says, capped.

    Identifiers of chosen kinds add up, of any other the strongest counts. Of two dependent families
    only the stronger is kept.
    """
    identifier = evidence["identifier"].to_numpy()
    keys = ["account", "cluster", "family"]
    table = evidence.assign(family=graph.family_codes[identifier])
    chosen = graph.identifiers["chosen"].to_numpy(bool)[identifier]
    added = table[chosen].groupby(keys)["bits"].sum()
    strongest = table[~chosen].groupby(keys)["bits"].max()
    bits = pd.concat([added, strongest]).groupby(level=keys).max()
    families: pd.DataFrame = bits.clip(upper=config.max_family_bits).reset_index()
    return _keep_independent(families, graph.find_independent(config.dependent_families))


def _keep_independent(families: pd.DataFrame, independent: Flags) -> pd.DataFrame:
    """Keep each account's strongest families of those that depend on each other.

    The strongest comes first and rules its dependents out, then the strongest that is left: a
    family that is itself ruled out rules out nothing.
    """
    order = np.lexsort([families[name] for name in ("family", "cluster", "account")])
    ranked = families.iloc[order].reset_index(drop=True)
    row = ranked.groupby(["account", "cluster"], sort=False).ngroup().to_numpy()
    bits = np.full((row.max(initial=-1) + 1, len(independent)), -np.inf)
    bits[row, ranked["family"].to_numpy()] = ranked["bits"].to_numpy()
    dependent = ~independent & ~np.eye(len(independent), dtype=bool)
    kept = np.zeros(bits.shape, bool)
    for _ in range(len(independent)):
        best = bits.argmax(axis=1)
        found = np.flatnonzero(bits[np.arange(len(bits)), best] > -np.inf)
        kept[found, best[found]] = True
        bits[found, best[found]] = -np.inf
        bits[dependent[best] & (np.isin(np.arange(len(bits)), found))[:, None]] = -np.inf
    strongest: pd.DataFrame = ranked[kept[row, ranked["family"].to_numpy()]]
    return strongest.reset_index(drop=True)


def _penalise_silence(
    graph: AccountGraph,
    edges: pd.DataFrame,
    families: pd.DataFrame,
    scores: pd.DataFrame,
    sizes: Ints,
) -> Floats:
    """Return the (negative) bits of families in which an account shares nothing of its cluster."""
    n_families = len(graph.family_names)
    shape = (len(sizes), n_families)
    own = families[families["own"]]
    shared = np.zeros(shape)
    np.add.at(shared, (own["cluster"].to_numpy(), own["family"].to_numpy()), 1)
    coverage = (shared + 0.5) / (sizes[:, None] + 1)
    known = np.zeros((graph.n_accounts, n_families), bool)
    known[edges["account"], graph.family_codes[edges["identifier"].to_numpy()]] = True
    silent = known[scores["account"].to_numpy()]
    row = pd.MultiIndex.from_frame(scores[["account", "cluster"]]).get_indexer(
        pd.MultiIndex.from_frame(families[["account", "cluster"]])
    )
    silent[row, families["family"].to_numpy()] = False
    lost = np.log2(1 - coverage)[scores["cluster"].to_numpy()]
    return np.asarray((lost * silent).sum(axis=1))


def _choose_clusters(
    scores: pd.DataFrame, n_accounts: int, config: MethodConfig
) -> tuple[Ints, Floats]:
    """Give each account its most probable cluster, if any is probable and well supported."""
    odds = np.exp2(np.minimum(scores["score"].to_numpy(), 500.0))
    account = scores["account"].to_numpy()
    total = 1 + np.bincount(account, weights=odds, minlength=n_accounts)
    probability = odds / total[account]
    margin = np.where(scores["n_families"] >= 2, 0.0, config.single_family_bits)
    fit = (probability >= config.min_probability) & (scores["score"].to_numpy() >= margin)
    chosen = scores[fit].assign(probability=probability[fit])
    chosen = chosen.sort_values(
        ["account", "probability", "cluster"], ascending=[True, False, True]
    )
    chosen = chosen.drop_duplicates("account")
    labels, posterior = np.full(n_accounts, -1, np.int64), np.zeros(n_accounts)
    labels[chosen["account"]] = chosen["cluster"]
    posterior[chosen["account"]] = chosen["probability"]
    return labels, posterior


def _drop_small(labels: Ints, probability: Floats, min_accounts: int) -> tuple[Ints, Floats]:
    """Dissolve clusters that are too small; cluster numbers are kept, so that rounds compare."""
    small = _count_members(labels) < min_accounts
    dropped = (labels >= 0) & small[labels] if small.size else labels >= 0
    return np.where(dropped, -1, labels), np.where(dropped, 0.0, probability)


def _score_cluster_pairs(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, config: MethodConfig
) -> pd.DataFrame:
    """Return ``left`` < ``right``, ``score``: pairs of clusters that should be one."""
    sizes = _count_members(labels)
    usage = _count_usage(edges, labels)
    alone = edges["identifier"].to_numpy()[labels[edges["account"].to_numpy()] < 0]
    solo = np.bincount(alone, minlength=graph.n_identifiers)
    usage["share"] = usage["n"] / sizes[usage["cluster"].to_numpy()]
    usage = usage[usage["share"] >= config.min_usage]
    nodes = usage.groupby("identifier").size()
    usage["nodes"] = usage["identifier"].map(nodes) + solo[usage["identifier"].to_numpy()]
    few = usage["nodes"] <= 1 / MIN_HOLDER_SHARE
    usage = usage[few & (usage["identifier"].map(nodes) >= 2)]
    n_nodes = int((sizes > 0).sum() + (labels < 0).sum())
    both = usage.merge(usage, on=["identifier", "nodes"])
    shared = _find_families(graph, config.shared_families)
    sold = np.isin(graph.family_codes[both["identifier"].to_numpy()], shared)
    both = both[(both["cluster_x"] < both["cluster_y"]) & ~sold]
    both["bits"] = np.log2(np.minimum(both["share_x"], both["share_y"]) * n_nodes / both["nodes"])
    both = both[both["bits"] > 0].rename(columns={"cluster_x": "account", "cluster_y": "cluster"})
    families = _weigh_families(graph, both[["account", "cluster", "identifier", "bits"]], config)
    pairs = families.groupby(["account", "cluster"]).agg(
        score=("bits", "sum"), n_families=("family", "size")
    )
    score = pairs["score"] - np.log2(n_nodes)
    margin = np.where(pairs["n_families"] >= 2, 0.0, config.single_family_bits)
    found: pd.DataFrame = pairs.assign(score=score)[score >= margin].reset_index()
    return found.rename(columns={"account": "left", "cluster": "right"})


def _find_families(graph: AccountGraph, names: tuple[str, ...]) -> list[int]:
    return [graph.family_names.index(name) for name in names if name in graph.family_names]


def _count_members(labels: Ints) -> Ints:
    return np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)


def _sort_evidence(evidence: pd.DataFrame) -> pd.DataFrame:
    return evidence.sort_values(["cluster", "account", "identifier"], ignore_index=True)
