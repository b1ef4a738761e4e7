"""Co-action against a loop over all pairs, and against CooRTweet's own output."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from benchmarks.worlds import DATA
from linkage.cli.main import main
from linkage.coaction import find_coaction, read_acts, weigh_coaction
from linkage.errors import ConfigError, InputError, SchemaError

START = pd.Timestamp("2021-08-21 10:00:00", tz="UTC")


def make_acts(rows):
    """Make observations of (account, kind, object, second, content)."""
    frame = pd.DataFrame(rows, columns=["account_id", "kind", "value", "second", "content_id"])
    times = START + pd.to_timedelta(frame.pop("second").astype("int64"), unit="s")
    return frame.assign(ts=times).astype({"account_id": str, "content_id": str, "value": str})


def pair_by_hand(acts, window_s, min_participation):
    """The definition, two loops, kind by kind."""
    found = []
    for _, group in acts.groupby("kind"):
        taking = group.groupby("account_id").filter(lambda g: len(g) >= min_participation)
        rows = list(taking.itertuples())
        paired = []
        for a, b in itertools.combinations(rows, 2):
            near = abs((a.ts - b.ts).total_seconds()) <= window_s
            distinct = a.account_id != b.account_id and a.content_id != b.content_id
            itself = a.value in (a.content_id, b.content_id)
            if a.value == b.value and near and distinct and not itself:
                paired.append((a, b) if a.ts <= b.ts else (b, a))
        contents = {row.content_id for pair in paired for row in pair}
        counts = pd.Series([r.account_id for r in rows if r.content_id in contents]).value_counts()
        kept = {
            r.content_id
            for r in rows
            if r.content_id in contents and counts[r.account_id] >= min_participation
        }
        found += [(a, b) for a, b in paired if a.content_id in kept or b.content_id in kept]
    return found


acts_of_few = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["url", "tag"]),
        st.integers(0, 2),
        st.integers(0, 30),
        st.integers(0, 12),
    ),
    max_size=24,
)


@settings(max_examples=200, deadline=None)
@given(acts_of_few, st.integers(0, 12), st.integers(1, 4))
def test_pairs_are_those_of_two_loops(rows, window_s, min_participation):
    acts = make_acts(rows)
    found = find_coaction(acts, window_s=window_s, min_participation=min_participation)
    wanted = [
        (a.kind, a.value, *sorted([(a.account_id, a.content_id), (b.account_id, b.content_id)]),
         (b.ts - a.ts).total_seconds())
        for a, b in pair_by_hand(acts, window_s, min_participation)
    ]  # fmt: skip
    got = [
        (p.kind, p.object_id,
         *sorted([(p.account_id, p.content_id), (p.account_id_y, p.content_id_y)]), p.time_delta)
        for p in found.pairs.itertuples()
    ]  # fmt: skip
    assert sorted(got) == sorted(wanted)
    assert (found.pairs["ts"] <= found.pairs["ts_y"]).all()


@settings(max_examples=100, deadline=None)
@given(acts_of_few, st.floats(0, 1))
def test_edges_and_components_follow_from_the_pairs(rows, edge_weight):
    found = find_coaction(
        make_acts(rows), window_s=10, min_participation=1, edge_weight=edge_weight
    )
    low, high = ["account_id", "account_id_y"]
    pairs = found.pairs.assign(
        a=found.pairs[[low, high]].min(axis=1), b=found.pairs[[low, high]].max(axis=1)
    )
    groups = dict(list(pairs.groupby(["a", "b"])))
    assert list(zip(found.edges[low], found.edges[high], strict=True)) == sorted(groups)
    limit = np.quantile([len(group) for group in groups.values()], edge_weight) if groups else 0
    graph = nx.Graph()
    for edge in found.edges.itertuples():
        group = groups[edge.account_id, edge.account_id_y]
        assert edge.weight == len(group)
        assert edge.n_objects == len(group[["kind", "object_id"]].drop_duplicates())
        assert edge.avg_time_delta == pytest.approx(group["time_delta"].mean())
        counts = [group["content_id"].nunique(), group["content_id_y"].nunique()]
        assert [edge.n_content_id, edge.n_content_id_y] == counts
        assert edge.edge_symmetry_score == pytest.approx(min(counts) / max(counts))
        assert edge.weight_threshold == (len(group) > limit)
        if edge.weight_threshold:
            graph.add_edge(edge.account_id, edge.account_id_y)
    parts = found.components.groupby("component")["account_id"].agg(set).tolist()
    assert sorted(map(sorted, parts)) == sorted(map(sorted, nx.connected_components(graph)))
    assert [len(part) for part in parts] == sorted(map(len, parts), reverse=True)


def test_the_order_of_rows_matters_for_ties_only():
    rng = np.random.default_rng(0)
    second = rng.permutation(400)
    rows = [(rng.integers(9), "url", rng.integers(6), s, k) for k, s in enumerate(second)]
    acts = make_acts(rows)
    one, two = (find_coaction(a, window_s=20) for a in (acts, acts.sample(frac=1, random_state=1)))
    for table in ("pairs", "edges", "components"):
        assert_frame_equal(getattr(one, table), getattr(two, table))


def test_of_two_acts_at_once_that_of_the_account_named_first_is_older():
    rows = [("b", "url", "y", 0, "p"), ("a", "url", "x", 5, "q"), ("b", "url", "x", 5, "r")]
    found = find_coaction(make_acts(rows), window_s=0, min_participation=1)
    assert found.pairs[["account_id", "account_id_y"]].to_numpy().tolist() == [["b", "a"]]


def test_an_object_that_is_shared_by_its_own_post_is_no_pair():
    acts = make_acts([("a", "retweet_of", "p", 0, "p"), ("b", "retweet_of", "p", 1, "q")])
    assert find_coaction(acts, min_participation=1).pairs.empty


def test_without_contents_every_row_is_an_act():
    acts = make_acts([("a", "url", "x", 0, "p"), ("b", "url", "x", 1, "p")])
    assert find_coaction(acts, min_participation=1).pairs.empty
    assert len(find_coaction(acts.drop(columns="content_id"), min_participation=1).pairs) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_are_times_since_1970(unit):
    frame = pd.DataFrame({"account_id": ["a", "b"], "kind": "url", "value": "x"})
    times = pd.Series([START, START + pd.Timedelta(seconds=7)]).dt.as_unit(unit)
    acts = read_acts(frame.assign(ts=times.astype("int64")))
    assert (acts.time_us == [START.timestamp() * 1e6, START.timestamp() * 1e6 + 7e6]).all()


def test_texts_with_and_without_a_zone_are_read():
    texts = ["2021-08-21T12:00:00+02:00", "2021-08-21 10:00:00", "when?", None]
    frame = pd.DataFrame({"account_id": list("abcd"), "kind": "url", "value": "x", "ts": texts})
    acts = read_acts(frame)
    assert acts.time_us.tolist() == [int(START.timestamp() * 1e6)] * 2
    assert acts.n_left_out == 2


def test_nothing_in_nothing_out():
    found = find_coaction(make_acts([]))
    assert len(found.pairs) == len(found.edges) == len(found.components) == 0


def test_what_cannot_be_is_named():
    acts = make_acts([("a", "url", "x", 0, "p"), ("b", "url", "x", 1, "q")])
    with pytest.raises(SchemaError, match=r"lack \['ts'\]"):
        find_coaction(acts.drop(columns="ts"))
    with pytest.raises(InputError, match="must be times, such as"):
        find_coaction(acts.assign(ts="soon"))
    with pytest.raises(InputError, match="got truth values"):
        find_coaction(acts.assign(ts=True))
    for settings_, message in (
        ({"window_s": -1}, "window_s must be 0 or more seconds"),
        ({"window_s": float("inf")}, "window_s must be 0 or more seconds"),
        ({"min_participation": 0}, "min_participation must be at least 1"),
        ({"edge_weight": 1.5}, "edge_weight must lie in 0..1"),
        ({"min_participation": 1, "max_pairs": 0}, "holds 1 pairs of acts, those of one"),
    ):
        with pytest.raises(ConfigError, match=message):
            find_coaction(acts, **settings_)


def test_a_crowd_is_refused_before_it_is_paired():
    n = 200_000  # twenty billion pairs: counting them one by one would take minutes
    crowd = pd.DataFrame({"account_id": np.arange(n) % 7, "kind": "ip", "value": "x", "ts": START})
    with pytest.raises(ConfigError, match=r"holds 19,999,900,000 pairs of acts"):
        find_coaction(crowd)


# CooRTweet's own output -----------------------------------------------------------------------


def find_set(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"no folder {name} under LINKAGE_DATA ({DATA})")
    return DATA / name


def assert_same_network(found, stem):
    """Compare with the edges above the threshold and the components that the package wrote."""
    columns = ["weight", "avg_time_delta", "n_content_id", "n_content_id_y",
               "edge_symmetry_score", "weight_threshold"]  # fmt: skip
    wanted = pd.read_csv(f"{stem}_edges.csv")
    wanted["a"], wanted["b"] = (wanted[["from", "to"]].agg(side, axis=1) for side in ("min", "max"))
    got = found.edges[found.edges["weight_threshold"] == 1].rename(
        columns={"account_id": "a", "account_id_y": "b"}
    )
    keys = ["a", "b"]
    assert_frame_equal(
        got[keys + columns].sort_values(keys, ignore_index=True),
        wanted[keys + columns].sort_values(keys, ignore_index=True),
        check_dtype=False,
        rtol=1e-12,
    )
    parts = [
        {frozenset(group) for _, group in table.groupby("component")["account_id"]}
        for table in (found.components, pd.read_csv(f"{stem}_components.csv"))
    ]
    assert parts[0] == parts[1]


@pytest.mark.parametrize(("min_participation", "window_s"), [(2, 60), (2, 10), (5, 10)])
def test_russian_retweets_are_paired_as_coortweet_pairs_them(min_participation, window_s):
    folder = find_set("coortweet_ru")
    found = find_coaction(
        pd.read_parquet(folder / "observations.parquet"),
        window_s=window_s,
        min_participation=min_participation,
    )
    stem = folder / "reference" / f"mp{min_participation}_tw{window_s}"
    wanted = pd.read_csv(f"{stem}_pairs.csv")
    columns = list(wanted.columns)
    assert_frame_equal(
        found.pairs[columns].sort_values(columns, ignore_index=True),
        wanted.sort_values(columns, ignore_index=True),
        check_dtype=False,
    )
    assert_same_network(found, stem)


@pytest.mark.parametrize("kind", ["domain", "hashtag", "phash", "url", None])
def test_german_posts_make_the_network_that_coortweet_makes(kind):
    folder = find_set("coortweet_de")
    acts = pd.read_parquet(folder / "observations.parquet")
    found = find_coaction(acts if kind is None else acts[acts["kind"] == kind], window_s=30)
    stem = "combined" if kind is None else f"{kind}_id"
    assert_same_network(found, folder / "reference" / stem)


# The command ----------------------------------------------------------------------------------


@pytest.fixture
def shares(tmp_path):
    """Two accounts that post three links within seconds, and a third who comes later."""
    rows = [(a, "url", f"u{k}", 1_000 * k + s, f"{a}{k}")
            for k in range(3) for a, s in (("a", 0), ("b", 3), ("c", 500))]  # fmt: skip
    path = tmp_path / "shares.csv"
    make_acts(rows).to_csv(path, index=False)
    return path


def test_command_writes_what_the_function_finds(shares, tmp_path, capsys):
    words = ["coaction", str(shares), "--out", str(tmp_path / "net"), "--edge-weight", "0"]
    assert main([*words, "--window", "5"]) == 0
    assert "3 pairs of acts between 1 pairs of accounts" in capsys.readouterr().out
    found = find_coaction(pd.read_csv(shares), window_s=5, edge_weight=0)
    for table in ("pairs", "edges", "components"):
        assert_frame_equal(
            pd.read_parquet(tmp_path / "net" / f"{table}.parquet"), getattr(found, table)
        )
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == [
        "components.parquet", "edges.parquet", "pairs.parquet",
    ]  # fmt: skip


def test_command_reads_other_columns_and_says_what_it_left_out(shares, tmp_path, capsys):
    renamed = pd.read_csv(shares).rename(
        columns={"account_id": "user", "value": "link", "ts": "at", "content_id": "post"}
    )
    renamed.loc[0, "user"] = None
    renamed.drop(columns="kind").to_json(tmp_path / "s.jsonl", orient="records", lines=True)
    words = ["--account", "user", "--object", "link", "--ts", "at", "--content", "post"]
    out = ["--out", str(tmp_path / "net")]
    assert main(["coaction", str(tmp_path / "s.jsonl"), *out, *words]) == 0
    said = capsys.readouterr().out
    assert "2 pairs of acts" in said
    assert "1 rows without an account, an object or a time were left out" in said
    assert set(pd.read_parquet(tmp_path / "net" / "pairs.parquet")["kind"]) == {"link"}


def test_command_weighs_the_timing_where_it_is_asked_to(shares, tmp_path, capsys):
    words = ["coaction", str(shares), "--out", str(tmp_path / "net"), "--weigh"]
    assert main(words) == 0
    said = capsys.readouterr().out
    wanted = weigh_coaction(pd.read_csv(shares))
    assert f"{len(wanted.pairs)} pairs of accounts met more than once" in said
    for name, table in (("weights", wanted.pairs), ("left_out", wanted.left_out)):
        written = pd.read_parquet(tmp_path / "net" / f"{name}.parquet")
        assert_frame_equal(written, table, check_dtype=False)


def test_command_refuses_what_is_not_there(shares, tmp_path, capsys):
    out = ["--out", str(tmp_path / "net")]
    assert main(["coaction", str(tmp_path / "none.csv"), *out]) == 2
    assert "no file of acts at" in capsys.readouterr().err
    assert main(["coaction", str(shares), *out, "--kinds", "tag"]) == 2
    assert "has no kind 'tag'; it has url" in capsys.readouterr().err
    assert main(["coaction", str(shares), *out, "--object", "link"]) == 2
    assert "lacks the columns ['link']" in capsys.readouterr().err
    assert not (tmp_path / "net").exists()
