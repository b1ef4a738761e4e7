"""The main job, from top to bottom: tables in, attributed clusters out."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from linkage._version import __version__
from linkage.attribution import Attribution, attribute_accounts, find_crowds
from linkage.case import SCHEMAS, check_place, write_case
from linkage.checkpoints import Checkpoints, make_key, place_checkpoints
from linkage.communities import find_communities, join_communities, separate_communities
from linkage.config import Config, load_config
from linkage.engine import Engine
from linkage.errors import ConfigError
from linkage.evidence import corroborate_edges
from linkage.graph import AccountGraph, build_graph
from linkage.hierarchy import find_cells, find_infrastructure
from linkage.kinds import find_dependent, find_determined, measure_background, tabulate_kinds
from linkage.memory import release_memory
from linkage.observations import Observed, SourceInfo, observe
from linkage.overlaps import count_overlaps, count_tests, expect_overlaps, select_edges
from linkage.pairs import link_pairs
from linkage.prompts import MAX_EXAMPLE_CHARS, PromptHandling, derive_key
from linkage.result import Result
from linkage.significance import judge_clusters, retest_overlaps, validate_overlaps
from linkage.sources import digest_inputs
from linkage.tiers import describe_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from linkage.config import MethodConfig

__all__ = ["STAGES", "link"]

Kept = tuple[dict[str, pa.Table], dict[str, Any]]  # what a stage makes, as it can be kept

STAGES: Final = ("read", "overlaps", "communities", "attribution")
# Settings of the method that matter to no stage up to this one.
AFTER_COMMUNITIES: Final = frozenset({"common_causes", "min_accounts", "min_probability", "rounds"})
AFTER_OVERLAPS: Final = AFTER_COMMUNITIES | {
    "max_family_bits",
    "shared_families",
    "single_family_bits",
}
TIMES: Final = ("first_seen", "last_seen")  # of edges
OBSERVED: Final = ("accounts", "identifiers", "edges", "alone", "templates", "rejected")

ROWS_NAMED: Final = 1 << 20  # rows whose texts are looked up in one go
LIBRARIES: Final = ("duckdb", "igraph", "networkx", "numba", "numpy", "pandas", "pyarrow", "scipy")


def link(
    events: Any = None,
    payments: Any = None,
    accounts: Any = None,
    observations: Any = None,
    *,
    config: Config | str | Path | None = None,
    seed: int = 0,
    key: bytes | None = None,
    known_prompts: Sequence[str] = (),
    keep_text: bool = False,
    keep_observations: bool = True,
    out: str | Path | None = None,
    threads: int = 2,
    memory_limit: str | None = None,
    tmp_dir: str | Path | None = None,
    checkpoints: bool = False,
    start: str | None = None,
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
    key : bytes, optional
        A secret of at least 32 bytes. Template ids of prompts are hashes with it; without it,
        whoever guesses a template can compute its id.
    known_prompts : sequence of str, optional
        Prompts of tools that anybody uses: their templates are called public.
    keep_text : bool, default False
        Whether `Result.templates`, and the case folder, hold one prompt of each readable template
        as it came. No text of prompts is kept otherwise, but in redacted skeletons.
    keep_observations : bool, default True
        Whether the result holds `Result.observations`, by far its largest table; the case folder
        has it in any case.
    out : path, optional
        Write the result there as a case folder.
    threads : int, default 2
        Threads of the SQL engine and of the fingerprints. The result never depends on it.
    memory_limit : str, optional
        Memory from which on the SQL engine spills to disk, such as ``"4GB"``; 60 % of the
        machine's by default.
    tmp_dir : path, optional
        Where it spills to.
    checkpoints : bool, default False
        Whether to keep the result of every stage beside ``out``, in ``OUT.checkpoints``, and to
        start at the first stage that has none for these inputs and settings. Where frames are
        among the inputs none are kept.
    start : str, optional
        The stage, of `STAGES`, to start at whatever is kept of it.
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
    if start is not None and start not in STAGES:
        raise ConfigError(f"start must be one of {list(STAGES)}; got {start!r}")
    prompts = PromptHandling(
        key=b"" if key is None else derive_key(key), known=known_prompts, keep_text=keep_text
    )
    clock = _Clock(progress or _say_nothing)
    stages = _open_stages(given, out if checkpoints else None, start, clock)

    def read() -> Kept:
        with (
            clock.step("reading the input", "read"),
            Engine(threads=threads, memory_limit=memory_limit, tmp_dir=tmp_dir) as engine,
        ):
            find, tell = _template_finder(prompts, threads), clock.tell
            more, refused = _add_embeddings(engine, given, settings, prompts.key, tell)
            observed = observe(
                engine, more, settings, find_templates=find, keep_alone=False, progress=tell
            )
            return _pack_observed(observed, refused)

    observed = _unpack_observed(*stages.run("read", _choose_reading(settings, prompts), read))
    edges = observed.edges
    if (read_times := stages.find_reader("read", "edges", TIMES)) is not None:
        edges = edges.drop_columns(list(TIMES))  # nobody asks for them until clusters are described
    graph = build_graph(
        observed.accounts,
        observed.identifiers,
        edges,
        chosen=_find_chosen(observed.identifiers, settings),
        alone=observed.alone,
    )
    nothing = {name: getattr(observed, name).schema.empty_table() for name in ("edges", "alone")}
    observed = replace(observed, **nothing)  # the graph has them
    del edges
    strata = _find_strata(graph, settings.method)
    found = _find_clusters(graph, strata, settings, seed, clock, stages)
    del graph
    with clock.step("describing clusters", "describe"):
        if read_times is not None:
            times = read_times().to_pandas()
            seen = found.graph.edges.assign(**{name: times[name] for name in TIMES})
            found = replace(found, graph=found.graph.modify(edges=seen))
            del times, seen
        tables = _tabulate(found, settings.method)
        graph = found.graph
        counts, dependent = _count(observed, graph, tables), graph.dependent
        del found  # what is named below is as large as all the rest
        tables["observations"] = SCHEMAS["observations"].empty_table().to_pandas()
        if keep_observations:
            tables["observations"] = pa.concat_tables(_stream_observations(graph)).to_pandas()
    result = Result(
        **tables,
        templates=observed.templates.to_pandas(),
        rejected=observed.rejected.to_pandas(),
        manifest=_make_manifest(observed, counts, dependent, settings, seed, clock)
        | prompts.describe(),
    )
    if out is not None:
        parts = None if keep_observations else _stream_observations(graph)
        write_case(result, out, observations=parts)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the method found."""

    labels: np.ndarray[Any, np.dtype[np.int64]]
    probability: np.ndarray[Any, np.dtype[np.float64]]
    cell: np.ndarray[Any, np.dtype[np.int64]]
    evidence: pd.DataFrame
    q_value: np.ndarray[Any, np.dtype[np.float64]]
    infrastructure: np.ndarray[Any, np.dtype[np.int64]]
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
        release_memory()
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self.stages[name] = {
            "cpu_s": round(time.process_time() - cpu_start, 3),
            "peak_gb": round(_read_peak_gb(), 3),
        }

    def list_steps(self) -> dict[str, Any]:
        """Return what has been measured, as JSON."""
        return {"seconds": dict(self.seconds), "stages": dict(self.stages)}

    def add_steps(self, steps: dict[str, Any]) -> None:
        """Take over what was measured when a stage was run."""
        self.seconds |= steps["seconds"]
        self.stages |= steps["stages"]


class _Stages:
    """Runs stages one after the other, each from its checkpoint where there is one."""

    def __init__(
        self, checkpoints: Checkpoints | None, key: str, start: str | None, clock: _Clock
    ) -> None:
        self.checkpoints = checkpoints
        self.key = key
        self.start = start
        self.clock = clock
        self.is_forced = False
        self.keys: dict[str, str] = {}

    def find_reader(
        self, name: str, table: str, columns: Sequence[str]
    ) -> Callable[[], pa.Table] | None:
        """Return what reads columns of a stage's table once more; None where none is kept."""
        kept = self.checkpoints
        if kept is None:
            return None
        return partial(kept.read, name, self.keys[name], table, columns)

    def run(self, name: str, settings: Any, make: Callable[[], Kept]) -> Kept:
        """Return what a stage makes from what the stages before it have made."""
        self.key = self.keys[name] = make_key(self.key, name, settings)
        self.is_forced |= name == self.start
        kept = self.checkpoints
        if kept is not None and not self.is_forced:
            found = kept.recall(name, self.key)
            if found is not None:
                tables, said = found
                self.clock.add_steps(said.pop("steps"))
                return tables, said
        before = set(self.clock.seconds)
        tables, said = make()
        if kept is not None:
            measured = self.clock.list_steps()
            steps = {
                what: {step: cost for step, cost in costs.items() if step not in before}
                for what, costs in measured.items()
            }
            kept.keep(name, self.key, tables, {**said, "steps": steps})
        return tables, said


def _open_stages(
    given: dict[str, Any],
    out: str | Path | None,
    start: str | None,
    clock: _Clock,
) -> _Stages:
    """Begin with what all stages depend on: the bytes of the input, and the program."""
    if out is None:
        return _Stages(None, "", start, clock)
    clock.tell("looking for checkpoints")
    digests = digest_inputs(given)
    if digests is None:
        return _Stages(None, "", start, clock)
    libraries = {name: version(name) for name in LIBRARIES}
    key = make_key(digests, __version__, _digest_program(), platform.python_version(), libraries)
    return _Stages(Checkpoints(place_checkpoints(out)), key, start, clock)


def _digest_program() -> str:
    """Return the digest of the package's own source, as a changed method changes results."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _choose_reading(config: Config, prompts: PromptHandling) -> dict[str, Any]:
    """Return the settings that matter to reading."""
    said = {name: said for name, said in config.to_dict().items() if name != "method"}
    return said | {"prompts": prompts.describe()}


def _choose_method(config: Config, later: frozenset[str]) -> dict[str, Any]:
    """Return the settings of the method, without those that matter to later stages only."""
    method: dict[str, Any] = config.to_dict()["method"]
    return {name: said for name, said in method.items() if name not in later}


def _add_embeddings(
    engine: Engine,
    given: dict[str, Any],
    config: Config,
    key: bytes,
    tell: Callable[[str], None],
) -> tuple[dict[str, Any], pa.Table | None]:
    """Return the inputs with the neighbourhoods of their vectors as observations."""
    if not config.embeddings:
        return given, None
    from linkage.embeddings import observe_embeddings

    tell("looking for neighbourhoods of vectors")
    with Engine(threads=engine.threads, tmp_dir=engine.tmp_dir) as reader:
        tables, refused = observe_embeddings(reader, given, config, key=key, threads=engine.threads)
    others = given.get("observations", [])
    others = list(others) if isinstance(others, list | tuple) else [others]
    return given | ({"observations": [*others, *tables]} if tables else {}), refused


def _pack_observed(observed: Observed, refused: pa.Table | None = None) -> Kept:
    tables = {name: getattr(observed, name) for name in OBSERVED}
    if refused is not None:
        tables["rejected"] = pa.concat_tables([observed.rejected, refused]).sort_by(
            [(name, "ascending") for name in observed.rejected.column_names]
        )
    return tables, {"sources": [asdict(source) for source in observed.sources]}


def _unpack_observed(tables: dict[str, pa.Table], said: dict[str, Any]) -> Observed:
    sources = (
        SourceInfo(**source | {"ignored": tuple(source["ignored"])}) for source in said["sources"]
    )
    return Observed(**tables, sources=tuple(sources))


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


def _template_finder(
    prompts: PromptHandling, threads: int
) -> Callable[[Iterable[pa.RecordBatch]], tuple[pa.Table, pa.Table]]:
    """Return the function that turns prompts into templates and their holdings."""

    def find(batches: Iterable[pa.RecordBatch]) -> tuple[pa.Table, pa.Table]:
        from linkage.fingerprints import templates

        found = templates(
            batches,
            key=prompts.key,
            known=prompts.known,
            threads=threads,
            example_characters=MAX_EXAMPLE_CHARS if prompts.keep_text else 0,
        )
        return found.templates, found.holdings

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


def _find_clusters(  # noqa: PLR0915 - three stages, of which each sees what was before
    graph: AccountGraph,
    strata: np.ndarray[Any, np.dtype[np.int64]],
    config: Config,
    seed: int,
    clock: _Clock,
    stages: _Stages,
) -> _Found:
    """Run the method on the graph."""
    method = config.method
    edges = select_edges(graph, method.max_identifiers)

    def compare() -> Kept:
        with clock.step("judging kinds of identifiers", "kinds"):
            determined = find_determined(graph)
            dependent = find_dependent(graph, determined, frozenset(config.kinds))
            judged = graph.modify(dependent=dependent)
        with clock.step("counting overlaps of identifiers", "overlaps"):
            pairs = count_overlaps(judged, edges, method)
        with clock.step("validating overlaps against chance", "validate"):
            n_tests = count_tests(judged, edges, method)
            expected = expect_overlaps(judged, pairs, np.zeros_like(strata))
            background = measure_background(judged, edges, pairs, expected, frozenset(config.kinds))
            expected *= _look_up_background(graph, pairs, background)
            found = validate_overlaps(pairs, expected, graph.holders, n_tests, method)
            expected = expect_overlaps(judged, found, strata)
            expected *= _look_up_background(graph, found, background)
            overlaps = retest_overlaps(found, expected)
        said = {
            "determined": determined.tolist(),
            "dependent": [list(pair) for pair in dependent],
            "background": background.tolist(),
            "n_tests": n_tests,
        }
        return {"overlaps": _to_arrow(overlaps)}, said

    tables, said = stages.run("overlaps", _choose_method(config, AFTER_OVERLAPS), compare)
    overlaps, n_tests = tables["overlaps"].to_pandas(), said["n_tests"]
    determined, background = np.array(said["determined"], bool), np.array(said["background"], float)
    dependent = tuple((first, second) for first, second in said["dependent"])
    graph = graph.modify(dependent=dependent)

    def group() -> Kept:
        with clock.step("weighing evidence", "evidence"):
            weighed = corroborate_edges(graph, edges, overlaps, method)
            corroborated = np.bincount(weighed["identifier"], minlength=graph.n_identifiers)
            weighed = weighed[_tells_operators_apart(graph, weighed, method)]
            linked = link_pairs(graph, edges, method)
        with clock.step("finding communities", "communities"):
            labels = find_communities(weighed, linked, graph.n_accounts, seed=seed)
            labels = join_communities(labels, weighed, linked, graph.n_accounts, seed=seed)
            labels = separate_communities(labels, weighed, graph.n_accounts, seed=seed)
        accounts, identifiers = {"label": labels}, {"corroborated": corroborated}
        return {"accounts": pa.table(accounts), "identifiers": pa.table(identifiers)}, {}

    settings = [_choose_method(config, AFTER_COMMUNITIES), seed]
    tables, _ = stages.run("communities", settings, group)
    labels = tables["accounts"]["label"].to_numpy()
    corroborated = tables["identifiers"]["corroborated"].to_numpy()

    def attribute() -> Kept:
        with clock.step("attributing accounts", "attribution"):
            attribution = attribute_accounts(graph, edges, labels, method, strata=strata)
        with clock.step("judging clusters", "significance"):
            matches = _list_matches(attribution, method)
            found = attribution.labels
            q_value = judge_clusters(graph, edges, found, strata, matches, overlaps, n_tests)
        sure = _keep_sure(attribution, graph.holders, method)
        with clock.step("finding cells and infrastructure", "hierarchy"):
            cell = find_cells(graph, sure.evidence, sure.labels, seed=seed)
            shared = find_infrastructure(graph, sure.evidence, sure.labels, method)
            shared = np.pad(shared, (0, len(q_value) - len(shared)))  # clusters without a member
        members = {"label": sure.labels, "probability": sure.probability, "cell": cell}
        clusters = {"q_value": q_value, "infrastructure": shared}
        kept = {"members": pa.table(members), "clusters": pa.table(clusters)}
        return kept | {"evidence": _to_arrow(sure.evidence)}, {}

    settings = [_choose_method(config, frozenset()), seed]
    tables, _ = stages.run("attribution", settings, attribute)
    return _Found(
        labels=tables["members"]["label"].to_numpy(),
        probability=tables["members"]["probability"].to_numpy(),
        cell=tables["members"]["cell"].to_numpy(),
        evidence=tables["evidence"].to_pandas(),
        q_value=tables["clusters"]["q_value"].to_numpy(),
        infrastructure=tables["clusters"]["infrastructure"].to_numpy(),
        kinds=tabulate_kinds(graph, determined, background),
        graph=graph,
        corroborated=corroborated,
    )


def _look_up_background(
    graph: AccountGraph, pairs: pd.DataFrame, background: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]] | float:
    """Return how much more often than chance each pair's kinds come together anyway."""
    if not (background > 1).any():
        return 1.0
    left, right = (graph.kind_codes[pairs[side].to_numpy()] for side in ("left", "right"))
    return np.asarray(background[left, right])


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


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


def _keep_sure(
    attribution: Attribution, holders: np.ndarray[Any, np.dtype[np.int64]], method: MethodConfig
) -> Attribution:
    """Drop members that are not sure enough, clusters that become too small, and crowds."""
    labels = attribution.labels
    sure = (labels >= 0) & (attribution.probability >= method.min_probability)
    n_sure = np.bincount(labels[sure], minlength=int(labels.max(initial=-1)) + 1)
    kept = sure & np.append(n_sure >= method.min_accounts, False)[labels]
    evidence = attribution.evidence[kept[attribution.evidence["account"].to_numpy()]]
    crowd = find_crowds(evidence, np.where(kept, labels, -1), holders)
    kept &= ~np.append(crowd, np.ones(len(n_sure) + 1 - len(crowd), bool))[labels]
    return replace(
        attribution,
        labels=np.where(kept, labels, -1),
        probability=np.where(kept, attribution.probability, 0.0),
        evidence=evidence[kept[evidence["account"].to_numpy()]].reset_index(drop=True),
    )


def _tabulate(found: _Found, method: MethodConfig) -> dict[str, pd.DataFrame]:
    """Turn codes back into ids; clusters are numbered from 1, the riskiest first."""
    graph, labels, probability, evidence = (
        found.graph,
        found.labels,
        found.probability,
        found.evidence,
    )
    table = describe_clusters(
        graph, labels, probability, evidence, found.q_value, found.corroborated, method
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
            "cell": found.cell[member],
        }
    )
    span = accounts[["first_seen", "last_seen"]].groupby(labels[member])
    by_rank["first_seen"] = span["first_seen"].min()
    by_rank["last_seen"] = span["last_seen"].max()
    shared = pd.Series(found.infrastructure[by_rank.index], index=by_rank.index)
    # Numbered anew in the order of rank; what is missing is numbered -1, and says 0.
    by_rank["infrastructure"] = pd.factorize(shared.where(shared > 0))[0] + 1
    clusters = by_rank.assign(cluster_id=number).drop(columns="first_account")
    return {
        "clusters": clusters.reset_index(drop=True)[SCHEMAS["clusters"].names],
        "members": members.sort_values(["cluster_id", "account_id"], ignore_index=True),
        "evidence": _tabulate_evidence(graph, evidence[evidence["bits"] > 0], number),
        "kinds": found.kinds,
    }


def _tabulate_evidence(
    graph: AccountGraph, evidence: pd.DataFrame, number: pd.Series[int]
) -> pd.DataFrame:
    cluster = number.reindex(evidence["cluster"]).to_numpy(np.int64)
    account, identifier = (evidence[name].to_numpy(np.int64) for name in ("account", "identifier"))
    # Codes are in the order of what they stand for.
    order = np.lexsort((identifier, account, cluster))
    account, identifier = account[order], identifier[order]
    seen = graph.edges.iloc[_find_edges(graph, account, identifier)]
    identifiers = graph.identifiers.iloc[identifier]
    return pd.DataFrame(
        {
            "cluster_id": cluster[order],
            "account_id": graph.accounts["account_id"].array.take(account),
            "kind": identifiers["kind"].array,
            "value": identifiers["value"].array,
            "bits": evidence["bits"].to_numpy()[order],
            "family": identifiers["family"].array,
            "n_accounts": identifiers["n_accounts"].to_numpy(),
            "count": seen["count"].to_numpy(),
            "first_seen": seen["first_seen"].array,
            "last_seen": seen["last_seen"].array,
        }
    )


def _find_edges(
    graph: AccountGraph,
    account: np.ndarray[Any, np.dtype[np.int64]],
    identifier: np.ndarray[Any, np.dtype[np.int64]],
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the rows of edges, which are sorted."""
    key = graph.edges["account"].to_numpy() * np.int64(graph.n_identifiers)
    key += graph.edges["identifier"].to_numpy()
    return np.searchsorted(key, account * graph.n_identifiers + identifier)


def _stream_observations(graph: AccountGraph) -> Iterator[pa.Table]:
    """Yield the edges to shared identifiers as observations, part by part.

    All their texts never stand in memory. Edges are sorted by codes, and codes are in the order of
    texts: nothing is left to sort.
    """
    names = {name: pa.array(getattr(graph, f"{name}_names")) for name in ("kind", "family")}
    account, identifier = (graph.edges[name].to_numpy() for name in ("account", "identifier"))
    texts = pa.array(graph.accounts["account_id"]), pa.array(graph.identifiers["value"])
    row = np.flatnonzero((graph.holders >= 2)[identifier])
    for begin in range(0, max(len(row), 1), ROWS_NAMED):
        part = row[begin : begin + ROWS_NAMED]
        codes, seen = identifier[part], graph.edges.iloc[part]
        columns = {
            "account_id": texts[0].take(pa.array(account[part])),
            "kind": names["kind"].take(pa.array(graph.kind_codes[codes])),
            "value": texts[1].take(pa.array(codes)),
            "family": names["family"].take(pa.array(graph.family_codes[codes])),
        }
        columns |= {name: pa.array(seen[name]) for name in ("count", *TIMES)}
        yield pa.table(columns).cast(SCHEMAS["observations"])


def _count(
    observed: Observed, graph: AccountGraph, tables: dict[str, pd.DataFrame]
) -> dict[str, int]:
    """Return how many there are of everything."""
    return {
        "accounts": observed.accounts.num_rows,
        "identifiers": int(graph.n_values.sum()),
        "edges": int(graph.degrees.sum()),
        "shared_identifiers": int((graph.holders >= 2).sum()),
        "refusals": observed.rejected.num_rows,
        "clusters": len(tables["clusters"]),
        "members": len(tables["members"]),
    }


def _make_manifest(
    observed: Observed,
    counts: dict[str, int],
    dependent: tuple[tuple[str, str], ...],
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
        "dependent_families": [list(pair) for pair in dependent],
        "counts": counts,
        "seconds": clock.seconds,
        "stages": clock.stages,
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest))
    return plain
