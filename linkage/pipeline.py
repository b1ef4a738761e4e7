"""The main job, from top to bottom: tables in, attributed clusters out."""

from __future__ import annotations

import json
import platform
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage._version import __version__
from linkage.attribution import Attribution, attribute_accounts
from linkage.case import SCHEMAS, check_place, write_case
from linkage.communities import find_communities
from linkage.config import Config, load_config
from linkage.engine import Engine
from linkage.evidence import corroborate_edges
from linkage.graph import AccountGraph, build_graph
from linkage.kinds import find_dependent, find_determined, measure_background, tabulate_kinds
from linkage.observations import Observed, observe
from linkage.overlaps import count_overlaps, count_tests, expect_overlaps, select_edges
from linkage.pairs import link_pairs
from linkage.result import Result
from linkage.significance import judge_clusters, validate_overlaps
from linkage.tiers import describe_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from linkage.config import MethodConfig

__all__ = ["link"]

LIBRARIES: Final = ("duckdb", "igraph", "networkx", "numba", "numpy", "pandas", "pyarrow", "scipy")


def link(
    events: Any = None,
    payments: Any = None,
    accounts: Any = None,
    observations: Any = None,
    *,
    config: Config | str | Path | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    threads: int = 2,
    memory_limit: str | None = None,
    tmp_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Result:
    """Find groups of accounts that one operator runs.

    Parameters
    ----------
    events, payments, accounts, observations : path, folder, glob, frame, or a list of those
        The input tables: Parquet, CSV or JSON Lines files, or pandas, Arrow or polars frames. Any
        may be missing, not all.
    config : Config or path, optional
        Renamed columns, further kinds, settings; a path names a TOML file.
    seed : int, default 0
        Starts the only random stream, that of community detection.
    out : path, optional
        Write the result there as a case folder.
    threads : int, default 2
        Threads of the SQL engine and of the fingerprints. The result never depends on it.
    memory_limit : str, optional
        Memory from which on the SQL engine spills to disk, such as ``"4GB"``.
    tmp_dir : path, optional
        Where it spills to.
    progress : callable, optional
        Told in a few words what happens next.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If an input cannot be used.
    ConfigError
        If a setting is unknown or out of range.
    CaseError
        If ``out`` cannot be written to.

    Notes
    -----
    Kinds of identifiers are judged first: what repeats another kind, or comes with it in everybody,
    is no second piece of evidence. Then come overlaps of identifiers against a degree-corrected
    null, validated at a false-discovery rate; edges that carry only what other families
    corroborate; direct evidence between pairs of accounts; communities of both; and attribution of
    every account to the profiles found, calibrated on the accounts that are no members.

    Examples
    --------
    >>> import pandas as pd
    >>> ring = [(f"a{i}", kind, value) for i in range(9)
    ...         for kind, value in [("payment", "card"), ("device", "phone"), ("ip", "192.0.2.1")]]
    >>> crowd = [(f"b{i}", "ip", "192.0.2.1") for i in range(40)]
    >>> crowd += [(f"c{i}", k, f"{k}{i}") for i in range(400) for k in ("payment", "device")]
    >>> seen = pd.DataFrame(ring + crowd, columns=["account_id", "kind", "value"])
    >>> link(observations=seen).clusters[["tier", "n_accounts", "families"]].to_dict("records")
    [{'tier': 'operator', 'n_accounts': 9, 'families': 'client+network+payment'}]
    """
    settings = config if isinstance(config, Config) else load_config(config) if config else Config()
    inputs = {
        "events": events,
        "payments": payments,
        "accounts": accounts,
        "observations": observations,
    }
    given = {name: table for name, table in inputs.items() if table is not None}
    if out is not None:
        check_place(out)
    clock = _Clock(progress or _say_nothing)
    with (
        clock.step("reading the input", "read"),
        Engine(threads=threads, memory_limit=memory_limit, tmp_dir=tmp_dir) as engine,
    ):
        find = _template_finder(threads)
        observed = observe(
            engine, given, settings, find_templates=find, keep_alone=False, progress=clock.tell
        )
    graph = build_graph(
        observed.accounts,
        observed.identifiers,
        observed.edges,
        chosen=_find_chosen(observed.identifiers, settings),
        alone=observed.alone,
    )
    strata = _find_strata(graph, settings.method)
    found = _find_clusters(graph, strata, settings, seed, clock)
    with clock.step("describing clusters", "describe"):
        tables = _tabulate(found, settings.method)
    result = Result(
        **tables,
        rejected=observed.rejected.to_pandas(),
        manifest=_make_manifest(observed, found.graph, tables, settings, seed, clock),
    )
    if out is not None:
        write_case(result, out)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the method found."""

    attribution: Attribution
    q_value: np.ndarray[Any, np.dtype[np.float64]]
    kinds: pd.DataFrame
    # How many holders of each identifier have other things in common with each other.
    corroborated: np.ndarray[Any, np.dtype[np.int64]]
    graph: AccountGraph  # with the families that the data show to be dependent


class _Clock:
    """Tells what happens, and how long each step took."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.seconds: dict[str, float] = {}
        self.stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, what: str, name: str) -> Iterator[None]:
        self.tell(what)
        start, cpu_start = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self.stages[name] = {
            "cpu_s": round(time.process_time() - cpu_start, 3),
            "peak_gb": round(_read_peak_gb(), 3),
        }


def _read_peak_gb() -> float:
    """Return the most memory that the process has held so far; nan where nobody counts it."""
    try:
        import resource
    except ImportError:  # there is none on Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def _say_nothing(_: str) -> None:
    """Report to nobody."""


def _template_finder(threads: int) -> Callable[[Iterable[pa.RecordBatch]], pa.Table]:
    """Return the function that turns prompts into holdings of templates."""

    def find(batches: Iterable[pa.RecordBatch]) -> pa.Table:
        from linkage.fingerprints import templates

        return templates(batches, threads=threads).holdings

    return find


def _find_chosen(identifiers: pa.Table, config: Config) -> frozenset[str]:
    """Return the kinds whose overlaps count within their family.

    Where there is one family only, nothing could corroborate it: its own overlaps are all there is.
    """
    kinds = identifiers["kind"].unique().to_pylist()
    if len({config.get_kind(kind).family for kind in kinds}) == 1:
        return frozenset(kinds)
    return frozenset(kind for kind in kinds if config.get_kind(kind).chosen)


def _find_strata(graph: AccountGraph, method: MethodConfig) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the stratum of each account: those that agree in all attributes named are in one."""
    known = [name for name in method.strata if name in graph.accounts]
    if not known:
        return np.zeros(graph.n_accounts, np.int64)
    attributes = graph.accounts[known].astype("string").fillna("")
    numbers = attributes.groupby(known, sort=True).ngroup()
    return np.asarray(numbers, np.int64)


def _find_clusters(
    graph: AccountGraph,
    strata: np.ndarray[Any, np.dtype[np.int64]],
    config: Config,
    seed: int,
    clock: _Clock,
) -> _Found:
    """Run the method on the graph."""
    method = config.method
    with clock.step("judging kinds of identifiers", "kinds"):
        determined = find_determined(graph)
        dependent = find_dependent(graph, determined, frozenset(config.kinds))
        graph = replace(graph, dependent=dependent)
    with clock.step("counting overlaps of identifiers", "overlaps"):
        edges = select_edges(graph, method.max_identifiers)
        pairs = count_overlaps(graph, edges, method)
    with clock.step("validating overlaps against chance", "validate"):
        n_tests = count_tests(graph, edges, method)
        expected = expect_overlaps(graph, pairs, strata)
        background = measure_background(graph, edges, pairs, expected, frozenset(config.kinds))
        expected *= background[
            graph.kind_codes[pairs["left"].to_numpy()], graph.kind_codes[pairs["right"].to_numpy()]
        ]
        overlaps = validate_overlaps(pairs, expected, graph.holders, n_tests, method)
    with clock.step("weighing evidence", "evidence"):
        weighed = corroborate_edges(graph, edges, overlaps, method)
        corroborated = np.bincount(weighed["identifier"], minlength=graph.n_identifiers)
        weighed = weighed[_tells_operators_apart(graph, weighed, method)]
        linked = link_pairs(graph, edges, method)
    with clock.step("finding communities", "communities"):
        labels = find_communities(weighed, linked, graph.n_accounts, seed=seed)
    with clock.step("attributing accounts", "attribution"):
        attribution = attribute_accounts(graph, edges, labels, method, strata=strata)
    with clock.step("judging clusters", "significance"):
        q_value = judge_clusters(
            graph,
            edges,
            attribution.labels,
            strata,
            _list_matches(attribution, method),
            overlaps,
            n_tests,
        )
    return _Found(
        attribution=_keep_sure(attribution, method),
        q_value=q_value,
        kinds=tabulate_kinds(graph, determined, background),
        graph=graph,
        corroborated=corroborated,
    )


def _tells_operators_apart(
    graph: AccountGraph, edges: pd.DataFrame, method: MethodConfig
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which edges are to identifiers that no vendor sells to several operators.

    What a vendor sells corroborates other evidence; it is no reason to put accounts together.
    """
    shared = graph.identifiers["family"].isin(method.shared_families).to_numpy()
    if shared.all():
        return np.ones(len(edges), bool)
    return np.asarray(~shared[edges["identifier"].to_numpy()])


def _list_matches(attribution: Attribution, method: MethodConfig) -> pd.DataFrame:
    """Return the families in which accounts have enough in common with clusters."""
    row, family = np.nonzero(attribution.scores.bits >= method.min_bits)
    return pd.DataFrame(
        {
            "account": attribution.scores.account[row],
            "cluster": attribution.scores.cluster[row],
            "family": family,
        }
    )


def _keep_sure(attribution: Attribution, method: MethodConfig) -> Attribution:
    """Drop members that are not sure enough, and clusters that become too small."""
    labels = attribution.labels
    sure = (labels >= 0) & (attribution.probability >= method.min_probability)
    n_sure = np.bincount(labels[sure], minlength=int(labels.max(initial=-1)) + 1)
    kept = sure & np.append(n_sure >= method.min_accounts, False)[labels]
    evidence = attribution.evidence
    return replace(
        attribution,
        labels=np.where(kept, labels, -1),
        probability=np.where(kept, attribution.probability, 0.0),
        evidence=evidence[kept[evidence["account"].to_numpy()]].reset_index(drop=True),
    )


def _tabulate(found: _Found, method: MethodConfig) -> dict[str, pd.DataFrame]:
    """Turn codes back into ids; clusters are numbered from 1, the riskiest first."""
    graph, attribution, q_value = found.graph, found.attribution, found.q_value
    labels, probability = attribution.labels, attribution.probability
    table = describe_clusters(
        graph, labels, probability, attribution.evidence, q_value, found.corroborated, method
    )
    member = np.flatnonzero(labels >= 0)
    table["first_account"] = pd.Series(member).groupby(labels[member]).min()
    by_rank = table.sort_values(
        ["risk", "n_accounts", "first_account"], ascending=[False, False, True]
    )
    number = pd.Series(np.arange(1, len(table) + 1), index=by_rank.index, dtype=np.int64)
    accounts = graph.accounts.iloc[member]
    members = pd.DataFrame(
        {
            "account_id": accounts["account_id"].to_numpy(),
            "cluster_id": number.reindex(labels[member]).to_numpy(np.int64),
            "probability": probability[member],
        }
    )
    span = accounts[["first_seen", "last_seen"]].groupby(labels[member])
    by_rank["first_seen"] = span["first_seen"].min()
    by_rank["last_seen"] = span["last_seen"].max()
    clusters = by_rank.assign(cluster_id=number).drop(columns="first_account")
    return {
        "clusters": clusters.reset_index(drop=True)[SCHEMAS["clusters"].names],
        "members": members.sort_values(["cluster_id", "account_id"], ignore_index=True),
        "evidence": _tabulate_evidence(
            graph, attribution.evidence[attribution.evidence["bits"] > 0], number
        ),
        "observations": _tabulate_observations(graph),
        "kinds": found.kinds,
    }


def _tabulate_evidence(
    graph: AccountGraph, evidence: pd.DataFrame, number: pd.Series[int]
) -> pd.DataFrame:
    seen = evidence.merge(graph.edges, on=["account", "identifier"], how="left")
    identifiers = graph.identifiers.iloc[seen["identifier"]]
    table = pd.DataFrame(
        {
            "cluster_id": number.reindex(seen["cluster"]).to_numpy(np.int64),
            "account_id": graph.accounts["account_id"].to_numpy()[seen["account"]],
            "kind": identifiers["kind"].to_numpy(),
            "value": identifiers["value"].to_numpy(),
            "bits": seen["bits"],
            "family": identifiers["family"].to_numpy(),
            "n_accounts": identifiers["n_accounts"].to_numpy(),
            "count": seen["count"],
            "first_seen": seen["first_seen"],
            "last_seen": seen["last_seen"],
        }
    )
    return table.sort_values(["cluster_id", "account_id", "kind", "value"], ignore_index=True)


def _tabulate_observations(graph: AccountGraph) -> pd.DataFrame:
    """Return the observations of identifiers that two or more accounts share."""
    shared = graph.edges[graph.holders[graph.edges["identifier"].to_numpy()] >= 2]
    identifiers = graph.identifiers.iloc[shared["identifier"]]
    table = pd.DataFrame(
        {
            "account_id": graph.accounts["account_id"].to_numpy()[shared["account"]],
            "kind": identifiers["kind"].to_numpy(),
            "value": identifiers["value"].to_numpy(),
            "family": identifiers["family"].to_numpy(),
            "count": shared["count"].to_numpy(),
            "first_seen": shared["first_seen"].array,
            "last_seen": shared["last_seen"].array,
        }
    )
    return table.sort_values(["account_id", "kind", "value"], ignore_index=True)


def _make_manifest(
    observed: Observed,
    graph: AccountGraph,
    tables: dict[str, pd.DataFrame],
    config: Config,
    seed: int,
    clock: _Clock,
) -> dict[str, Any]:
    manifest = {
        "linkage": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "config": config.to_dict(),
        "seed": seed,
        "inputs": [
            {
                "table": source.table,
                "source": source.source,
                "sha256": source.digest,
                "rows": source.n_rows,
                "refused_rows": source.n_refused_rows,
                "dropped_cells": source.n_dropped_cells,
                "columns": dict(source.columns),
                "ignored": list(source.ignored),
            }
            for source in observed.sources
        ],
        "dependent_families": [list(pair) for pair in graph.dependent],
        "counts": {
            "accounts": observed.accounts.num_rows,
            "identifiers": int(graph.n_values.sum()),
            "edges": int(graph.degrees.sum()),
            "shared_identifiers": int((graph.holders >= 2).sum()),
            "refusals": observed.rejected.num_rows,
            "clusters": len(tables["clusters"]),
            "members": len(tables["members"]),
        },
        "seconds": clock.seconds,
        "stages": clock.stages,
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest))
    return plain
