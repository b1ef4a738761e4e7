"""Tiers: what kind of thing a cluster is, how sure that is, and where to look first.

The rules are few and stated; every number that they use is a column of the result, so that a
colleague can disagree with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import special

from linkage.graph import find_starts
from linkage.specificity import find_bound, find_own, judge_bound

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["describe_clusters"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_HOUSEHOLD: Final = 8  # accounts; larger groups are no family
NOT_A_TIME, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # in microseconds
HALF: Final = 0.5  # share of a cluster from which on something holds of it
WHOLE: Final = 0.8  # of its activity, from which on a cluster does next to nothing else
BOUND_QUANTILE: Final = 0.05  # of a share's posterior (Jeffreys): the least that it may be
LENT: Final = ("payment", "client")  # families of what people of one home lend each other
MEETING: Final = pd.Timedelta(days=7)  # the longest time that a hackathon or an exam takes
MAX_PLACE: Final = 4  # addresses of one place: the gateways of an office, a lab, a hall
MIN_GATHERING: Final = 3  # accounts that use a place; any two use some address
MAX_PURPOSES: Final = 8  # templates of a cluster, those used most, of which others may be pieces
SAME_HOLDERS: Final = 0.6  # share of one's holders from which on two prints are one template
# How far a tier is believed to be one operator, before anyone has looked. These are judgements,
# not rates. A gathering with a common purpose is believed half as far as the purpose goes, and so
# are few accounts that share a card or a device. So is an organisation, but as far as two pieces
# of its activity taken at random are both of the purpose: colleagues share a tool. A family has no
# purpose: the explanation as a household by an address alone is in doubt where there is one. The
# users of a tool are as open as what is coordinated. Whoever has prompts and shares none is half
# as likely to have one will. Two families of which only one is the cluster's own are half way from
# what is open to an operator.
TIER_BELIEF: Final = {"operator": 1.0, "coordinated": 0.5, "shared": 0.02}
EXPLAINED_BELIEF: Final = 0.5
AIMLESS_BELIEF: Final = 0.25
HALF_OWN_BELIEF: Final = 0.75


def describe_clusters(
    graph: AccountGraph,
    labels: Ints,
    probability: Floats,
    evidence: pd.DataFrame,
    q_value: Floats,
    corroborated: Ints,
    config: MethodConfig,
) -> pd.DataFrame:
    """Describe each cluster: families, innocent explanation, tier, confidence, risk.

    Parameters
    ----------
    graph : AccountGraph
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    probability : array of float64, shape (N,)
        Posterior of membership.
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``bits`` (that count), ``alone`` (that the
        identifier would say by itself).
    q_value : array of float64, shape (clusters,)
    corroborated : array of int64, shape (M,)
        Holders of each identifier who have other things in common with its other holders.
    config : MethodConfig
        ``min_bits`` is what counts as support, ``fdr`` what counts as significant;
        ``shared_families`` and content tie nobody by themselves.

    Returns
    -------
    pandas.DataFrame, indexed by cluster
        ``tier``, ``n_accounts``, ``confidence``, ``q_value``, ``risk``, ``families``,
        ``explanation``, ``corroborated``, ``purpose``.

    Notes
    -----
    Four innocent explanations are tested. *organisation*: more than half of the accounts have
    addresses at one mail domain of an organisation, most of whose users have other things in common
    too (anyone can get an address at the others), or more than a household stay together, and their
    prompts are known. *household*: few accounts, half of them or more at one address that no more
    than a household has used, or tied by a card or a device where prompts are known. *gathering* (a
    class, a hackathon, a build farm): the accounts share prompts and nothing else but place and
    software, and they meet (half of them were at one place in the same week, and only then), stay
    together (half of their activity is at one place), or were given a task (half of the prompts
    that they share are of one week, and half of them use one place); where they do not stay, half
    of the prompts that they share could have been sent there. A place has at most ``MAX_PLACE``
    addresses, each used by ``MIN_GATHERING`` of the accounts; who rents proxies has many. *tool*:
    no family supports the cluster but content and ``shared_families``, which a program or a web
    service brings along or anybody buys (its prompts, its servers, its client); half of the
    accounts have cards, devices or mail addresses that are known; and hardly any are bound to each
    other by these (:func:`linkage.specificity.find_bound`). An operator that evades everything else
    looks the same.

    An operator can look like each of the first three, but an operator has a purpose, and it shows
    in the prompts. ``purpose`` is the share of the accounts' activity that are prompts from
    templates which mostly they use (a prompt that follows several counts once, as far as can be
    told); colleagues share a tool, and do other things most of the time. Prompts that are mostly
    other people's, a public tool's, are not counted as shared. Where the purpose takes at least
    half of the activity (a lower bound of it, for few prompts say little), none of these three
    stands; but for an organisation that has both a mail domain and a place it must take ``WHOLE``
    of it, for some have one task. Otherwise a cluster that is explained and shares no prompts is
    ``shared``; one that is explained and does share prompts is left open, ``coordinated``. Without
    an explanation, two independent families and a small q-value make it ``operator``, unless its
    prompts are known and not shared; prompts that are mostly other people's are none of the two. In
    both there must be something that is mostly the cluster's (:func:`linkage.specificity.find_own`;
    half of the accounts hold it), or its purpose take half of the activity: who runs build jobs on
    the same hosted machines, or studies on one campus, shares addresses with a crowd, and is
    otherwise tied by a task alone.

    A family supports a cluster when at least half of its accounts have ``min_bits`` of it in all;
    dependent families count once. ``corroborated`` is the share of accounts that two independent
    families support, and ``confidence`` is (1 - q) x mean probability x corroborated x belief in
    the tier: 1, 1/2, 1/50; of a gathering with a purpose half of it, as of a household with a card
    or a device in common; of an organisation half of its square; 1/4 where nothing explains
    accounts that have prompts and share none, and 3/4 where nothing but families of its own is
    missing for an operator.
    ``risk`` is confidence x (1 - 1/n), for ranking.
    """
    said = _add_by_family(graph, evidence, "bits", "sum")
    families = said[said["bits"] >= config.min_bits]
    sizes = pd.Series(labels[labels >= 0]).value_counts().sort_index().rename("n_accounts")
    table = sizes.rename_axis("cluster").to_frame()
    table["q_value"] = q_value[table.index]
    supports = _find_supports(graph, families, table)
    independent = graph.find_independent(config.dependent_families)
    table["families"] = _join_names(graph.family_names, supports)
    table["corroborated"] = _share_corroborated(families, independent, table)
    alone = _add_by_family(graph, evidence, "alone", "max")
    alone = alone[alone["alone"] >= config.min_bits]
    activity = _count_activity(graph)
    table["purpose"], least, theirs, brief = _measure_purpose(graph, labels, table, activity)
    content = theirs & _hold_family(graph, _find_supports(graph, alone, table), "content")
    found, settled = _explain_innocently(
        graph, labels, table, supports, content, brief, activity, corroborated, config
    )
    purposeful = least >= np.where(settled, WHOLE, HALF)
    table["explanation"] = np.where(purposeful, "", found)
    tool = content & _find_tools(graph, labels, table, supports, config)
    table.loc[tool & (table["explanation"] == ""), "explanation"] = "tool"
    purpose = content | ~_know_prompts(graph, labels, table)
    counted = supports & (content | ~_is_family(graph, "content")[:, None]).T
    n_independent = _count_independent(counted, independent)
    explained = table["explanation"] != ""
    own = _add_by_family(graph, evidence[find_own(evidence, graph.holders)], "bits", "sum")
    own_two = _share_corroborated(own, independent, table) >= HALF
    tied = ~explained & (n_independent >= 2) & (table["q_value"] <= config.fdr) & purpose
    operator = tied & (own_two | purposeful)
    table["tier"] = np.select(
        [explained & ~content, operator], ["shared", "operator"], "coordinated"
    )
    posterior = pd.Series(probability).groupby(labels).mean().reindex(table.index)
    table["confidence"] = (1 - table["q_value"]) * posterior * table["corroborated"]
    half_own, lent = (tied & ~operator).to_numpy(), _find_lent(graph, supports)
    table["confidence"] *= _believe(table, content, purpose, half_own, lent)
    table["risk"] = table["confidence"] * (1 - 1 / table["n_accounts"])
    return table


def _believe(
    table: pd.DataFrame, content: Flags, purpose: Flags, half_own: Flags, lent: Flags
) -> pd.Series[float]:
    """Return how far each cluster is believed to be one operator, by its tier and explanation.

    ``content`` is whether its accounts share prompts, ``purpose`` that or that they have none, and
    ``half_own`` whether it would be an operator if two families were its own, ``lent`` whether a
    card or a device ties them.
    """
    explanation = table["explanation"]
    coordinated = (table["tier"] == "coordinated").to_numpy()
    belief = table["tier"].map(TIER_BELIEF).astype(float)
    belief = belief.mask(coordinated & (explanation == "") & ~purpose, AIMLESS_BELIEF)
    belief = belief.mask(half_own, HALF_OWN_BELIEF)
    gathering = content & ((explanation == "gathering") | (lent & (explanation == "household")))
    organisation = content & (explanation == "organisation")
    belief = belief.mask(gathering, EXPLAINED_BELIEF * table["purpose"])
    return belief.mask(organisation, EXPLAINED_BELIEF * table["purpose"] ** 2)


def _find_supports(graph: AccountGraph, families: pd.DataFrame, table: pd.DataFrame) -> Flags:
    """Return which families support at least half of each cluster, shape (clusters, families)."""
    shape = len(table), len(graph.family_names)
    row = table.index.get_indexer(pd.Index(families["cluster"]))
    cell = row * shape[1] + families["family"].to_numpy()
    n = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray(n / table["n_accounts"].to_numpy()[:, None] >= HALF)


def _add_by_family(
    graph: AccountGraph, evidence: pd.DataFrame, column: str, how: str
) -> pd.DataFrame:
    """Return ``cluster``, ``account``, ``family`` and a column of the evidence taken together."""
    columns = {name: evidence[name] for name in ("cluster", "account", column)}
    family = graph.family_codes[evidence["identifier"].to_numpy(np.int64)]
    keys = ["cluster", "account", "family"]
    taken: pd.DataFrame = (
        pd.DataFrame(columns).assign(family=family).groupby(keys)[column].agg(how).reset_index()
    )
    return taken


def _count_activity(graph: AccountGraph) -> Floats:
    """Return how often each account was seen: the most that any one kind tells, shape (N,)."""
    return np.asarray(graph.sightings.max(axis=1, initial=0), np.float64)


def _measure_purpose(
    graph: AccountGraph, labels: Ints, table: pd.DataFrame, activity: Floats
) -> tuple[pd.Series[float], Floats, Flags, Flags]:
    """Return the share of a cluster's activity that are prompts which mostly it uses; 0 to 1.

    And the least that it may be, for chance; whether these are at least half of the prompts
    that its accounts have in common; and whether those that make up half of it were sent in the
    time of a meeting.
    """
    used = _count_use(graph, labels, "content")
    shared = used[used["n"] >= 2]
    is_theirs = shared["n"].to_numpy() >= HALF * graph.holders[shared["identifier"].to_numpy()]
    told = ~_find_repeats(graph, labels, shared, is_theirs)
    theirs = shared[is_theirs & told]
    spent = theirs.groupby("cluster")["count"].sum().reindex(table.index, fill_value=0)
    common = shared[told].groupby("cluster")["count"].sum().reindex(table.index, fill_value=0)
    total = pd.Series(activity).groupby(labels).sum().reindex(table.index)
    share: pd.Series[float] = (spent / total.clip(lower=1)).clip(upper=1)
    least = special.betaincinv(share * total + 0.5, (1 - share) * total + 0.5, BOUND_QUANTILE)
    most = theirs.sort_values("count", ascending=False, kind="stable")
    before = most.groupby("cluster")["count"].cumsum() - most["count"]
    most = most[before < HALF * spent.reindex(most["cluster"]).to_numpy()].groupby("cluster")
    span = (most["last_seen"].max() - most["first_seen"].min()).reindex(table.index)
    # A prompt may follow many templates, but there are no more prompts than activity.
    mostly = (spent > 0) & (spent >= HALF * np.minimum(common, total))
    return share, np.asarray(least), np.asarray(mostly), np.asarray(span <= MEETING)


def _find_repeats(graph: AccountGraph, labels: Ints, used: pd.DataFrame, theirs: Flags) -> Flags:
    """Return which rows of ``used`` may tell again of prompts of which one of ``theirs`` tells.

    A prompt follows several templates where a part of one is another: a phrase that others use too,
    or what slots and paraphrase leave. Such a part was sent by nobody more often than the whole.
    Two that are both the cluster's are parts of one only if one has clearly fewer holders: with the
    same ones they would be one template. Where no more templates were followed than prompts were
    sent, each prompt follows one.
    """
    counts = _is_family(graph, "content")[graph.family_codes]
    cluster, identifier, row, begins = _find_held(graph, labels, counts)
    account, count = (graph.edges[name].to_numpy()[row] for name in ("account", "count"))
    place = np.repeat(np.arange(len(cluster)), np.diff(begins))
    kinds = np.zeros(len(graph.kind_names), bool)
    kinds[graph.kind_codes[counts]] = True
    n_clusters = int(labels.max(initial=-1)) + 1
    followed = np.bincount(cluster[place], count, n_clusters)
    sent = graph.sightings[:, kinds].sum(axis=1)
    sent = np.bincount(labels[labels >= 0], sent[labels >= 0], n_clusters)
    several = (followed > sent)[cluster[place]]
    is_part = np.zeros(len(cluster), bool)
    n = np.diff(begins)
    key = cluster * graph.n_identifiers + identifier
    position = np.searchsorted(key, used["cluster"] * graph.n_identifiers + used["identifier"])
    is_theirs = np.zeros(len(cluster), bool)
    is_theirs[position[theirs]] = True
    most = used[theirs].sort_values("count", ascending=False, kind="stable").groupby("cluster")
    for rank in range(MAX_PURPOSES):
        whole = most.nth(rank)
        of = np.full(n_clusters, -1)
        of[whole["cluster"]] = whole["identifier"]
        often = np.zeros(graph.n_accounts, count.dtype)
        is_whole = identifier[place] == of[cluster[place]]
        often[account[is_whole]] = count[is_whole]
        within = np.logical_and.reduceat(several & (count <= often[account]), begins[:-1])
        holders = np.zeros(n_clusters)
        holders[whole["cluster"]] = whole["n"]
        fewer = n < SAME_HOLDERS * holders[cluster]
        is_part |= within & (identifier != of[cluster]) & (fewer | ~is_theirs)
    return is_part[position]


def _find_held(graph: AccountGraph, labels: Ints, counts: Flags) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the edges of members to identifiers that count, by cluster and identifier.

    Returns
    -------
    cluster, identifier : array of int64
        Of each pair of them that there is, sorted.
    row : array of int64
        The edges, pair by pair.
    begins : array of int64
        Where the edges of each pair begin, and the end.
    """
    account, identifier = graph.edges["account"].to_numpy(), graph.edges["identifier"].to_numpy()
    row = np.flatnonzero((labels >= 0)[account])
    row = row[counts[identifier[row]]]
    key = labels[account[row]] * graph.n_identifiers + identifier[row]
    order = np.argsort(key, kind="stable")
    key, row = key[order], row[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    pair = key[begins]
    width = max(graph.n_identifiers, 1)
    return pair // width, pair % width, row, np.append(begins, len(row))


def _count_use(graph: AccountGraph, labels: Ints, family: str) -> pd.DataFrame:
    """Return ``cluster``, ``identifier``, and how members use it.

    ``n`` (members that hold it), ``count`` (sightings), ``first_seen``, ``last_seen``.
    """
    theirs = _is_family(graph, family)[graph.family_codes]
    cluster, identifier, row, begins = _find_held(graph, labels, theirs)
    used = pd.DataFrame({"cluster": cluster, "identifier": identifier, "n": np.diff(begins)})
    used["count"] = _reduce(np.add, graph.edges["count"].to_numpy()[row], begins)
    for name, first in (("first_seen", True), ("last_seen", False)):
        times = graph.edges[name].iloc[row]
        moments = times.to_numpy("datetime64[us]").astype(np.int64)
        if first:  # what is not known is no first time; it is less than any last one
            moments = np.where(moments == NOT_A_TIME, LATEST, moments)
        found = _reduce(np.minimum if first else np.maximum, moments, begins)
        found = np.where(found == LATEST, NOT_A_TIME, found) if first else found
        used[name] = pd.Series(found.astype("datetime64[us]")).dt.tz_localize("UTC")
    return used


def _reduce(how: np.ufunc, values: Ints, begins: Ints) -> Ints:
    """Reduce runs of values, none of which is empty."""
    return np.asarray(how.reduceat(values, begins[:-1]) if len(values) else values)


def _share_corroborated(
    families: pd.DataFrame, independent: np.ndarray[Any, Any], table: pd.DataFrame
) -> pd.Series[float]:
    """Return the share of each cluster's accounts that two independent families support."""
    accounts = families.drop_duplicates(["cluster", "account"])[["cluster", "account"]]
    row = pd.MultiIndex.from_frame(accounts).get_indexer(
        pd.MultiIndex.from_frame(families[["cluster", "account"]])
    )
    has = np.zeros((len(accounts), len(independent)), bool)
    has[row, families["family"].to_numpy()] = True
    corroborated = accounts[_count_independent(has, independent) >= 2]
    return (
        corroborated.groupby("cluster").size().reindex(table.index, fill_value=0)
        / table["n_accounts"]
    )


def _count_independent(has: np.ndarray[Any, Any], independent: np.ndarray[Any, Any]) -> Ints:
    """Return 2 where two families that are independent of each other support a row, else 0 or 1."""
    pairs = has.astype(np.int64) @ independent.astype(np.int64)
    return np.where((pairs * has).any(axis=1), 2, has.any(axis=1).astype(np.int64))


def _join_names(names: list[str], supports: np.ndarray[Any, Any]) -> list[str]:
    codes = [np.flatnonzero(row) for row in supports]
    return ["+".join(names[code] for code in row) for row in codes]


def _hold_family(graph: AccountGraph, supports: np.ndarray[Any, Any], family: str) -> Flags:
    """Return which clusters a family supports."""
    return np.asarray(supports[:, _is_family(graph, family)].any(axis=1))


def _is_family(graph: AccountGraph, family: str) -> Flags:
    """Return which of the families is the one named, shape (families,)."""
    return np.array([name == family for name in graph.family_names], bool)


def _know_prompts(graph: AccountGraph, labels: Ints, table: pd.DataFrame) -> Flags:
    """Return the clusters of which at least half of the accounts have prompts."""
    content = np.zeros(len(graph.kind_names), bool)
    content[graph.kind_codes[(graph.identifiers["family"] == "content").to_numpy()]] = True
    clusters = labels[graph.degrees[:, content].any(axis=1)]
    known = pd.Series(clusters[clusters >= 0]).value_counts().reindex(table.index, fill_value=0)
    return np.asarray(known / table["n_accounts"] >= HALF)


def _explain_innocently(
    graph: AccountGraph,
    labels: Ints,
    table: pd.DataFrame,
    supports: Flags,
    content: Flags,
    brief: Flags,
    activity: Floats,
    corroborated: Ints,
    config: MethodConfig,
) -> tuple[list[str], Flags]:
    """Return the innocent explanation that covers each cluster, or an empty text.

    And whether it is an organisation's domain and place at once.
    """
    other = _find_binding(graph, config)
    few = table["n_accounts"] <= MAX_HOUSEHOLD
    home = graph.holders <= MAX_HOUSEHOLD
    at_home = table["n_accounts"] * _cover(graph, labels, table, "ip", home)
    lent = _find_lent(graph, supports) & _know_prompts(graph, labels, table)
    household = few & (lent | (at_home >= np.maximum(2, HALF * table["n_accounts"])))
    spent = pd.Series(activity).groupby(labels).sum().reindex(table.index)
    stays, meets = _spend_at_places(_count_use(graph, labels, "network"), table)
    task = HALF * table["purpose"] * spent
    stay = stays >= HALF * spent
    given = brief & (stays > 0) & (stays >= task)
    gathering = content & (stay | given | ((meets > 0) & (meets >= task)))
    gathering &= ~supports[:, other].any(axis=1)
    theirs = corroborated >= HALF * graph.holders
    organisation = _cover(graph, labels, table, "email_domain", theirs) > HALF
    found: list[str] = np.select(
        [organisation, household, gathering, stay & ~few & _know_prompts(graph, labels, table)],
        ["organisation", "household", "gathering", "organisation"],
        "",
    ).tolist()
    return found, np.asarray(organisation & stay)


def _find_tools(
    graph: AccountGraph, labels: Ints, table: pd.DataFrame, supports: Flags, config: MethodConfig
) -> Flags:
    """Find the clusters that nothing ties but what a tool or a service may bring along."""
    other = _find_binding(graph, config)
    member = np.flatnonzero(labels >= 0)
    kinds = np.zeros(len(graph.kind_names), bool)
    kinds[graph.kind_codes[other[graph.family_codes]]] = True
    known = graph.degrees[member][:, kinds].any(axis=1)
    bound = find_bound(
        find_starts(graph.edges["account"].to_numpy(), graph.n_accounts),
        graph.edges["identifier"].to_numpy(),
        graph.holders,
        other[graph.family_codes],
        member,
        labels[member],
        config.min_bits,
    )
    n_clusters, sizes = int(labels.max(initial=-1)) + 1, table["n_accounts"].to_numpy()
    n_known, n_bound = (
        np.bincount(labels[member], of, n_clusters)[table.index] for of in (known, bound)
    )
    is_loose = judge_bound(n_bound, sizes) < HALF
    return np.asarray((n_known >= HALF * sizes) & is_loose & ~supports[:, other].any(axis=1))


def _find_lent(graph: AccountGraph, supports: Flags) -> Flags:
    """Return which clusters are tied by what people of one home lend each other."""
    return np.asarray(supports[:, np.isin(graph.family_names, LENT)].any(axis=1))


def _find_binding(graph: AccountGraph, config: MethodConfig) -> Flags:
    """Return the families that neither a place, nor a task, nor a vendor brings along."""
    return ~np.isin(graph.family_names, ["content", *config.shared_families])


def _spend_at_places(used: pd.DataFrame, table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return how often each cluster was seen at one place, and at one where it met.

    A place is the ``MAX_PLACE`` addresses that are used most of those that half of the accounts
    use, three of them at least; one of a meeting, those of them that were used for a week or less.
    """
    sizes = table["n_accounts"].reindex(used["cluster"]).to_numpy()
    common = used[used["n"].to_numpy() >= np.maximum(MIN_GATHERING, HALF * sizes)]
    common = common.sort_values("count", ascending=False, kind="stable")
    brief = common["last_seen"] - common["first_seen"] <= MEETING
    stays, meets = (
        at.groupby("cluster").head(MAX_PLACE).groupby("cluster")["count"].sum()
        for at in (common, common[brief])
    )
    stays, meets = (spent.reindex(table.index, fill_value=0) for spent in (stays, meets))
    return stays.to_numpy(), meets.to_numpy()


def _cover(
    graph: AccountGraph, labels: Ints, table: pd.DataFrame, kind: str, counts: Flags
) -> pd.Series[float]:
    """Return the share of each cluster that holds its commonest identifier that counts."""
    code = [number for number, name in enumerate(graph.kind_names) if name == kind]
    of_kind = np.isin(graph.kind_codes, code)
    cluster, _, _, begins = _find_held(graph, labels, of_kind & counts)
    most = pd.Series(np.diff(begins)).groupby(cluster).max()
    share: pd.Series[float] = most.reindex(table.index, fill_value=0) / table["n_accounts"]
    return share
