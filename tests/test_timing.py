"""The timing of co-action against a loop, under its own null, and with planted pairs."""

import itertools
from collections import defaultdict
from math import log2

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import binom, false_discovery_control

from benchmarks import coaction as benchmark
from linkage.coaction import TimingConfig, find_timing, weigh_coaction
from linkage.errors import ConfigError
from linkage.graph import AccountGraph

DAY = 86_400


def make_acts(rows):
    """Make observations of (account, kind, object, second)."""
    frame = pd.DataFrame(rows, columns=["account_id", "kind", "value", "second"])
    frame["ts"] = pd.to_datetime(frame.pop("second"), unit="s", utc=True)
    return frame.astype({"account_id": str, "value": str})


def draw_strangers(seed, *, n_objects=300, n_accounts=60, n_visits=8):
    """Accounts that come to objects at random moments of one hour, each object in its own day."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"a{account:03d}", "url", f"o{j}", j * DAY + int(rng.integers(0, 3_000)))
        for j in range(n_objects)
        for account in rng.choice(n_accounts, n_visits, replace=False)
    ]
    return make_acts(rows)


def plant(n_meetings, lag_s, first="x", second="y"):
    """Two accounts who meet on objects of their own, so many seconds apart."""
    return make_acts(
        (account, "url", f"{first}{j}", (5_000 + j) * DAY + late)
        for j in range(n_meetings)
        for account, late in ((first, 0), (second, lag_s))
    )


def weigh_by_hand(acts, config):
    """The definition, in loops over one kind; returns rows by pair."""
    horizon = config.horizon_s
    visits = defaultdict(list)
    for (value, account), group in acts.groupby(["value", "account_id"]):
        times = sorted(t.timestamp() for t in group["ts"])
        starts = [t for k, t in enumerate(times) if k == 0 or t - times[k - 1] > horizon]
        visits[value] += [(t, account) for t in starts]
    contacts = defaultdict(list)
    for value, seen in visits.items():
        for (t, a), (u, b) in itertools.combinations(sorted(seen), 2):
            if a != b and u - t <= horizon:
                contacts[tuple(sorted((a, b)))].append((t, -(u - t), value))
    meetings = {}
    for pair, found in contacts.items():
        kept, began = [], -np.inf
        for t, lag, value in sorted(found):
            if t - began > horizon:
                kept.append((-lag, value))
                began = t
        meetings[pair] = kept
    n_visits = {value: len(seen) for value, seen in visits.items()}
    once = [kept[0] for kept in meetings.values() if len(kept) == 1]
    m, table = config.prior_meetings, {}
    for pair, kept in meetings.items():
        if len(kept) < config.min_meetings:
            continue
        best = (1.0, 0.0, 0, 0.0)
        for w in sorted(config.windows_s):
            least = w / horizon
            overall = (sum(lag <= w for lag, _ in once) + m * least) / (len(once) + m)
            chances = []
            for _, value in kept:
                size = int(log2(n_visits[value]))
                alike = [lag for lag, v in once if int(log2(n_visits[v])) == size]
                wide = (sum(lag <= w for lag in alike) + m * overall) / (len(alike) + m)
                own = [lag for lag, v in once if v == value]
                narrow = (sum(lag <= w for lag in own) + m * wide) / (len(own) + m)
                chances.append(max(narrow, least))
            k = sum(lag <= w for lag, _ in kept)
            p = min(1.0, len(config.windows_s) * binom.sf(k - 1, len(kept), np.mean(chances)))
            if p < best[0]:
                best = (p, w, k, sum(chances))
        table[pair] = (len(kept), *best)
    return table


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_those_of_loops(seed):
    rng = np.random.default_rng(seed)
    rows = [
        (f"a{rng.integers(12):02d}", "url", f"o{rng.integers(25)}", int(rng.integers(4 * DAY)))
        for _ in range(900)
    ]
    acts = pd.concat([make_acts(rows), plant(4, 2)])
    config = TimingConfig(windows_s=(10, 300, 1_000))
    found = weigh_coaction(acts, config).pairs
    wanted = weigh_by_hand(acts, config)
    assert len(found) == len(wanted) > 20
    for row in found.itertuples():
        n, p, window_s, n_near, expected = wanted[row.account_id, row.account_id_y]
        assert (row.n_meetings, row.n_near, row.window_s) == (n, n_near, window_s)
        assert row.expected == pytest.approx(expected)
        assert row.p_value == pytest.approx(p)
        assert row.bits == pytest.approx(-log2(p))
    assert found["q_value"].to_numpy() == pytest.approx(
        false_discovery_control(found["p_value"].to_numpy())
    )


def test_strangers_are_not_surprising():
    p_values, n_found = [], 0
    for seed in range(4):
        pairs = weigh_coaction(draw_strangers(seed)).pairs
        p_values += pairs["p_value"].tolist()
        n_found += (pairs["q_value"] <= 0.05).sum()
    assert len(p_values) > 4_000
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05
    assert np.mean(np.array(p_values) <= 0.001) <= 0.001
    assert n_found <= 1


def test_those_who_come_within_seconds_again_and_again_are_found():
    acts = pd.concat([draw_strangers(0), plant(4, 2)])
    found = weigh_coaction(acts).pairs
    sure = found[found["q_value"] <= 0.01]
    assert sure[["account_id", "account_id_y"]].to_numpy().tolist() == [["x", "y"]]
    assert sure["n_near"].tolist() == [4]
    assert sure["window_s"].tolist() == [3.0]


def test_the_closer_and_the_more_often_the_more_surprising():
    def bits(*planted):
        pairs = weigh_coaction(pd.concat([draw_strangers(0), plant(*planted)])).pairs
        return pairs.set_index("account_id").loc["x", "bits"]

    assert bits(3, 2) < bits(4, 2) < bits(6, 2)
    assert bits(4, 200) < bits(4, 20) < bits(4, 2)


def test_what_belongs_to_one_meeting_counts_once():
    once = plant(4, 2)
    thrice = pd.concat([once.assign(kind=kind) for kind in ("url", "domain", "picture")])
    rows = [weigh_coaction(pd.concat([draw_strangers(0), p])).pairs for p in (once, thrice)]
    meetings = [table.set_index("account_id").loc["x", "n_meetings"] for table in rows]
    assert meetings == [4, 4]


def test_a_burst_on_an_object_surprises_nobody():
    rng = np.random.default_rng(0)
    crowd = [
        (f"a{account:03d}", "url", f"news{j}", j * DAY + int(rng.integers(0, 20)))
        for j in range(6)
        for account in rng.choice(400, 60, replace=False)
    ]
    quiet = draw_strangers(0)
    pairs = weigh_coaction(pd.concat([quiet, make_acts(crowd)]), TimingConfig(max_crowd=100)).pairs
    assert (pairs["n_meetings"] >= 3).any()
    assert (pairs["q_value"] > 0.05).all()


def test_crowded_objects_are_left_out_and_told():
    crowd = make_acts((f"c{k}", "ip", "gateway", 10 * k) for k in range(80))
    found = weigh_coaction(pd.concat([draw_strangers(0), crowd]), TimingConfig(max_crowd=20))
    assert found.left_out["object_id"].tolist() == ["gateway"]
    assert found.left_out["n_visits"].tolist() == [80]
    assert found.left_out["crowd"].tolist() == [pytest.approx(79 / 2)]
    few = weigh_coaction(draw_strangers(0), TimingConfig(max_pairs=1_000))
    assert 0 < len(few.left_out) < 300


def test_the_order_of_rows_does_not_matter():
    acts = pd.concat([draw_strangers(1), plant(3, 40)])
    shuffled = acts.sample(frac=1, random_state=0)
    assert_frame_equal(weigh_coaction(acts).pairs, weigh_coaction(shuffled).pairs)


def test_nothing_in_nothing_out():
    found = weigh_coaction(make_acts([]))
    assert found.pairs.empty
    assert found.left_out.empty


def test_a_graph_gets_evidence_in_its_own_codes():
    acts = pd.concat([draw_strangers(0), plant(5, 1, "zz", "bb")], ignore_index=True)
    account, accounts = pd.factorize(acts["account_id"], sort=True)
    value, values = pd.factorize(acts["value"], sort=True)
    graph = AccountGraph(
        accounts=pd.DataFrame({"account_id": accounts}),
        identifiers=pd.DataFrame({"kind": "url", "value": values, "family": "url"}),
        edges=pd.DataFrame({"account": account, "identifier": value}).drop_duplicates(),
    )
    coded = pd.DataFrame({"account": account, "identifier": value, "ts": acts["ts"]})
    found = find_timing(graph, coded, fdr=0.01)
    assert accounts[found["left"]].tolist() == ["bb"]
    assert accounts[found["right"]].tolist() == ["zz"]
    weights = weigh_coaction(acts).pairs
    assert found["bits"].tolist() == [weights["bits"].max()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"horizon_s": 0}, "horizon_s must be above 0"),
        ({"windows_s": ()}, "windows_s must lie between 0 and horizon_s, 3600"),
        ({"windows_s": (10, 3_600)}, "windows_s must lie between 0 and horizon_s, 3600"),
        ({"min_meetings": 0}, "min_meetings must be at least 1"),
        ({"prior_meetings": 0}, "prior_meetings must be above 0"),
        ({"max_pairs": 0}, "max_pairs must be at least 1"),
    ],
)
def test_settings_out_of_range_are_named(words, message):
    with pytest.raises(ConfigError, match=message):
        TimingConfig(**words)


def test_the_benchmark_moves_posts_whole_and_plants_pairs_close_together():
    acts = pd.concat(draw_strangers(0).assign(kind=kind) for kind in ("url", "domain"))
    acts = acts.assign(content_id=acts["account_id"] + acts["value"])
    moved = benchmark.jitter(acts, seed=0)
    by_post = (moved["ts"] - acts["ts"]).groupby([acts["account_id"], acts["value"]])
    assert by_post.nunique().max() == 1
    assert moved["ts"].sub(acts["ts"]).abs().max() <= pd.Timedelta(minutes=30)
    more = benchmark.plant(acts, n_meetings=3, lag_s=5, seed=0)
    new = more[more["account_id"].str.startswith("planted")]
    assert new["account_id"].nunique() == 2 * benchmark.N_PLANTED
    assert new["content_id"].is_unique
    sides = [new[new["account_id"].str.endswith(side)]["ts"] for side in ("left", "right")]
    apart = sides[1].reset_index(drop=True) - sides[0].reset_index(drop=True)
    assert apart.between(pd.Timedelta(0), pd.Timedelta(seconds=5)).all()


def test_the_benchmark_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "DATA", tmp_path)
    assert benchmark.main(["--worlds", "--out", str(tmp_path / "c.md")]) == 0
    text = (tmp_path / "c.md").read_text()
    assert "- coortweet_ru: skipped, not under LINKAGE_DATA" in text
    assert "python -m benchmarks.coaction --worlds" in text
