"""Figures against scikit-learn, brute force, and what must not change them."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_rand_score,
    average_precision_score,
    brier_score_loss,
)
from sklearn.metrics.cluster import pair_confusion_matrix

from linkage.errors import ConfigError, InputError, SchemaError, UnknownIdError
from linkage.evaluate import average_precision, evaluate, measure_calibration

TRUTH = pd.DataFrame(
    {
        "account_id": list("abcdefghij"),
        "operator_id": ["x", "x", "x", "y", "y", None, None, None, None, None],
        "role": ["operator"] * 5 + ["household", "household", "solo", "solo", "solo"],
        "group_id": [None] * 5 + ["home", "home", None, None, None],
    }
)
# Cluster 1 holds x whole and one stranger (h); 2 holds half of y with i and j; 3 is the household.
MEMBERS = pd.DataFrame(
    {
        "account_id": list("abchdijfg"),
        "cluster_id": [1, 1, 1, 1, 2, 2, 2, 3, 3],
        "probability": [0.9, 0.9, 0.9, 0.2, 0.5, 0.5, 0.5, 0.8, 0.8],
    }
)
CLUSTERS = pd.DataFrame(
    {
        "cluster_id": [1, 2, 3],
        "tier": ["operator", "operator", "shared"],
        "n_accounts": [4, 3, 2],
        "confidence": [0.95, 0.6, 0.1],
        "q_value": [0.01, 0.04, 0.5],
        "risk": [0.9, 0.8, 0.1],
    }
)


def score(name, *, clusters=CLUSTERS, members=MEMBERS, truth=TRUTH):
    return evaluate(clusters, members, truth, n_bootstrap=0)[name].value


def draw_world(seed, n=300, n_operators=12, n_clusters=15, clustered=0.8):
    """Random labels: operators, groups and loners against random clusters."""
    rng = np.random.default_rng(seed)
    account = [f"a{i}" for i in range(n)]
    operator = pd.Series(rng.integers(n_operators * 2, size=n)).map(
        lambda i: f"g{i}" if i < n_operators else None
    )
    group = pd.Series(rng.integers(20, size=n)).map(lambda i: f"g{i}" if i < 6 else None)
    truth = pd.DataFrame({"account_id": account, "operator_id": operator, "group_id": group})
    kept = rng.random(n) < clustered
    members = pd.DataFrame({"account_id": account, "cluster_id": rng.integers(n_clusters, size=n)})[
        kept
    ]
    return members, truth


def label_everyone(members, truth):
    """The two partitions as lists of labels, by the definition: no code shared with evaluate."""
    cluster = dict(zip(members.account_id, members.cluster_id, strict=True))
    true, predicted = [], []
    for row in truth.itertuples():
        if isinstance(row.operator_id, str):
            true.append(("operator", row.operator_id))
        elif isinstance(row.group_id, str):
            true.append(("group", row.group_id))
        else:
            true.append(("alone", row.account_id))
        predicted.append(cluster.get(row.account_id, ("alone", row.account_id)))
    return true, predicted


def to_codes(labels):
    return pd.factorize(pd.Series([str(label) for label in labels]))[0]


# By hand


def test_best_match_of_each_operator_by_hand():
    # x: 3 of 3 in a cluster of 4, F1 6/7. y: 1 of 2 in a cluster of 3, F1 2/5.
    assert score("operator_f1") == pytest.approx((6 / 7 + 2 / 5) / 2)
    assert score("operator_f1_weighted") == pytest.approx((3 * 6 / 7 + 2 * 2 / 5) / 5)
    assert score("operator_f1_size_3_9") == pytest.approx(6 / 7)
    assert score("operator_f1_size_2") == pytest.approx(2 / 5)
    assert score("operator_f1_size_10_up") is None
    assert score("operators_found") == 1.0


def test_pairs_by_hand():
    # Predicted pairs: 6 + 3 + 1; right: 3 of x and 1 of the household. True pairs: 3 + 1 + 1.
    assert score("pair_precision") == pytest.approx(4 / 10)
    assert score("pair_recall") == pytest.approx(4 / 5)
    # Touching an operator's account: 6 of cluster 1 and 2 of cluster 2; 3 are right, of 4 true.
    assert score("operator_pair_precision") == pytest.approx(3 / 8)
    assert score("operator_pair_recall") == pytest.approx(3 / 4)


def test_strangers_are_the_innocents_in_clusters_that_are_not_theirs():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH)
    assert result.counts.n_strangers == 3  # h with x; i and j, three of whom nobody has a majority
    assert result.counts.n_operator_strangers == 1  # d, the one of y among them
    assert result["stranger_rate"].value == pytest.approx(3 / 5)


def test_a_linked_household_makes_no_strangers():
    home = TRUTH.assign(group_id=[None] * 5 + ["home"] * 5)
    together = pd.DataFrame({"account_id": list("fghij"), "cluster_id": 1})
    assert score("stranger_rate", clusters=None, members=together, truth=home) == 0


def test_roles_say_who_was_hurt():
    roles = evaluate(CLUSTERS, MEMBERS, TRUTH).roles.set_index("role")
    assert roles.loc["solo"].to_dict() == {
        "n_accounts": 3, "n_clustered": 3, "n_strangers": 3, "n_in_operator_tier": 3,
    }  # fmt: skip
    assert roles.loc["household", "n_in_operator_tier"] == 0
    assert "operator" not in roles.index


def test_tiers_count_their_clusters_by_whose_they_are():
    tiers = evaluate(CLUSTERS, MEMBERS, TRUTH).tiers.set_index("tier")
    columns = ["n_clusters", "n_of_operators", "n_of_innocents", "n_of_nobody"]
    assert tiers.loc["operator", columns].tolist() == [2, 1, 0, 1]
    assert tiers.loc["shared", columns].tolist() == [1, 0, 1, 0]
    assert tiers.loc["operator", "n_innocent_strangers"] == 3


def test_realised_false_discoveries_by_hand():
    found = {row.q: row for row in evaluate(CLUSTERS, MEMBERS, TRUTH).discoveries}
    assert (found[0.01].n_clusters, found[0.01].proportion) == (1, 0.0)
    assert (found[0.05].n_clusters, found[0.05].n_false, found[0.05].n_unlinked) == (2, 1, 1)
    assert found[0.05].proportion == 0.5


def test_half_of_a_cluster_is_no_majority():
    members = pd.DataFrame({"account_id": list("abde"), "cluster_id": 1})
    clusters = evaluate(None, members, TRUTH).clusters
    assert clusters["majority"].isna().all()
    assert not clusters["is_operator"].any()


def test_the_operators_table_names_the_best_cluster():
    operators = evaluate(CLUSTERS, MEMBERS, TRUTH).operators.set_index("operator_id")
    assert operators.loc["x", ["cluster_id", "tier", "precision", "recall"]].tolist() == [
        "1", "operator", 0.75, 1.0,
    ]  # fmt: skip
    assert operators.loc["y", "n_clustered"] == 1


def test_unlabelled_accounts_are_counted_and_left_out():
    extra = pd.DataFrame({"account_id": ["u", "v"], "cluster_id": [1, 3], "probability": 0.9})
    with_extra = evaluate(CLUSTERS, pd.concat([MEMBERS, extra]), TRUTH)
    without = evaluate(CLUSTERS, MEMBERS, TRUTH)
    assert with_extra.counts.n_clustered_unlabelled == 2
    assert with_extra.scores == without.scores


# Oracles


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_rand_agrees_with_scikit_learn(seed):
    members, truth = draw_world(seed)
    true, predicted = (to_codes(labels) for labels in label_everyone(members, truth))
    result = evaluate(None, members, truth, n_bootstrap=0)
    assert result["adjusted_rand"].value == pytest.approx(adjusted_rand_score(true, predicted))
    run = truth.operator_id.notna().to_numpy()
    assert result["operator_adjusted_rand"].value == pytest.approx(
        adjusted_rand_score(true[run], predicted[run])
    )


@pytest.mark.parametrize("seed", range(5))
def test_pairs_agree_with_scikit_learn(seed):
    members, truth = draw_world(seed)
    (_, fp), (fn, tp) = pair_confusion_matrix(
        *(to_codes(labels) for labels in label_everyone(members, truth))
    )
    result = evaluate(None, members, truth, n_bootstrap=0)
    assert result["pair_precision"].value == pytest.approx(tp / (tp + fp))
    assert result["pair_recall"].value == pytest.approx(tp / (tp + fn))
    assert result["pair_f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn))


@pytest.mark.parametrize("operators_only", [False, True])
def test_bcubed_and_operator_pairs_agree_with_a_loop(operators_only):
    members, truth = draw_world(7, n=80)
    true, predicted = label_everyone(members, truth)
    precision, recall, pairs = [], [], np.zeros(2)
    for i in range(len(true)):
        if operators_only and true[i][0] != "operator":
            continue
        mates = {j for j in range(len(true)) if predicted[j] == predicted[i]}
        own = {j for j in range(len(true)) if true[j] == true[i]}
        precision.append(len(mates & own) / len(mates))
        recall.append(len(mates & own) / len(own))
        for j in mates - {i}:  # a pair of two members of the population is met twice
            weight = 0.5 if not operators_only or true[j][0] == "operator" else 1.0
            pairs += [weight * (j in own), weight]
    prefix = "operator_" if operators_only else ""
    result = evaluate(None, members, truth, n_bootstrap=0)
    assert result[f"{prefix}bcubed_precision"].value == pytest.approx(np.mean(precision))
    assert result[f"{prefix}bcubed_recall"].value == pytest.approx(np.mean(recall))
    assert result[f"{prefix}pair_precision"].value == pytest.approx(pairs[0] / pairs[1])


def test_best_match_and_strangers_agree_with_a_loop():
    members, truth = draw_world(3, n=200)
    true, predicted = label_everyone(members, truth)
    clusters = {}
    for i, label in enumerate(predicted):
        if not isinstance(label, tuple):
            clusters.setdefault(label, set()).add(i)
    best = []
    for operator in {label for label in true if label[0] == "operator"}:
        own = {i for i, label in enumerate(true) if label == operator}
        if len(own) >= 2:
            best.append(max(2 * len(own & c) / (len(own) + len(c)) for c in clusters.values()))
    strangers = sum(
        2 * sum(true[j] == true[i] for j in c) <= len(c)
        for c in clusters.values()
        for i in c
        if len(c) >= 3 and true[i][0] != "operator"
    )
    result = evaluate(None, members, truth, n_bootstrap=0)
    assert result["operator_f1"].value == pytest.approx(np.mean(best))
    assert result.counts.n_strangers == strangers


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_agrees_with_scikit_learn_with_ties_and_weights(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(8, size=50) / 8
    positive = rng.random(50) < 0.3
    weights = rng.integers(1, 4, size=(2, 50))
    assert average_precision(scores, positive)[0] == pytest.approx(
        average_precision_score(positive, scores)
    )
    assert average_precision(scores, positive, weights) == pytest.approx(
        [average_precision_score(positive, scores, sample_weight=w) for w in weights]
    )


def test_brier_agrees_with_scikit_learn_and_ece_with_a_loop():
    rng = np.random.default_rng(0)
    p, y = rng.random(500), rng.random(500) < 0.4
    result = measure_calibration(p, y)
    assert result.brier == pytest.approx(brier_score_loss(y, p))
    ranges = [(p >= b / 10) & (p < (b + 1) / 10) for b in range(10)]
    gaps = [abs(y[r].mean() - p[r].mean()) * r.sum() for r in ranges]
    assert result.ece == pytest.approx(sum(gaps) / 500)
    assert sum(row.n for row in result.bins) == 500


def test_scores_of_calibration_agree_with_the_tables():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH)
    assert result["confidence_ece"].value == pytest.approx(result.confidence.ece)
    assert result["confidence_brier"].value == pytest.approx(result.confidence.brier)
    assert result["membership_ece"].value == pytest.approx(result.membership.ece)
    assert result["membership_brier"].value == pytest.approx(result.membership.brier)
    assert result["confidence_brier"].value == pytest.approx((0.05**2 + 0.6**2 + 0.1**2) / 3)


# What must not change a figure, and what must


def test_renaming_clusters_and_shuffling_rows_changes_nothing():
    members, truth = draw_world(1)
    renamed = members.assign(cluster_id="cluster " + (97 - members.cluster_id).astype(str))
    shuffled = evaluate(
        None, renamed.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2),
        n_bootstrap=0,
    )  # fmt: skip
    for before, after in zip(
        evaluate(None, members, truth, n_bootstrap=0).scores, shuffled.scores, strict=True
    ):
        assert after.value == pytest.approx(before.value), before.name


def test_arguments_are_not_changed():
    frames = [CLUSTERS.copy(), MEMBERS.copy(), TRUTH.copy()]
    evaluate(*frames)
    for frame, original in zip(frames, (CLUSTERS, MEMBERS, TRUTH), strict=True):
        pd.testing.assert_frame_equal(frame, original)


def test_ids_are_compared_as_text():
    as_text = MEMBERS.assign(cluster_id=MEMBERS.cluster_id.astype(str))
    assert score("pair_f1", members=as_text) == score("pair_f1")


def test_an_unclustered_innocent_changes_no_figure_of_the_operators():
    more = pd.concat([TRUTH, pd.DataFrame({"account_id": ["z"], "role": ["solo"]})])
    before = evaluate(CLUSTERS, MEMBERS, TRUTH, n_bootstrap=0)
    after = evaluate(CLUSTERS, MEMBERS, more, n_bootstrap=0)
    for one, other in zip(before.scores, after.scores, strict=True):
        if one.name.startswith("operator"):
            assert one.value == other.value
    assert after["stranger_rate"].value < before["stranger_rate"].value


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_the_truth_itself_is_perfect(seed, n):
    _, truth = draw_world(seed, n=n)
    true, _ = label_everyone(truth.assign(cluster_id=0), truth)
    members = truth.assign(cluster_id=[str(label) for label in true])
    result = evaluate(None, members, truth, n_bootstrap=0)
    for figure in result.scores:
        if figure.value is not None:
            expected = 0.0 if figure.name.endswith("rate") else 1.0
            assert figure.value == pytest.approx(expected), figure.name


# Intervals


def test_intervals_are_seeded_and_hold_the_value():
    members, truth = draw_world(2)
    one, two, other = (
        evaluate(None, members, truth, n_bootstrap=100, seed=seed) for seed in (0, 0, 1)
    )
    assert one.scores == two.scores
    assert one.scores != other.scores
    figure = one["operator_f1"]
    assert figure.low < figure.value < figure.high


def test_an_interval_covers_about_as_often_as_it_says():
    # The mean F1 of operators that are met whole or not at all, half and half: 0.5.
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        met = rng.random(40) < 0.5
        accounts = pd.DataFrame(
            {
                "account_id": [f"a{i}" for i in range(120)],
                "operator_id": np.repeat([f"o{i}" for i in range(40)], 3),
            }
        )
        members = accounts[np.repeat(met, 3)].rename(columns={"operator_id": "cluster_id"})
        figure = evaluate(None, members, accounts, seed=seed)["operator_f1"]
        covered += figure.low <= 0.5 <= figure.high
    assert covered >= 51  # 57 expected; fewer than 51 has a chance below 1 %


def test_one_operator_has_no_interval():
    one = TRUTH[TRUTH.operator_id != "y"]
    figure = evaluate(CLUSTERS, MEMBERS, one)["operator_f1"]
    assert (figure.n_units, figure.low, figure.high) == (1, None, None)


# Edges


def test_no_clusters_at_all():
    result = evaluate(CLUSTERS[:0], MEMBERS[:0], TRUTH)
    assert result["operator_f1"].value == 0
    assert result["pair_precision"].value is None
    assert result["pair_f1"].value == 0
    assert result["bcubed_precision"].value == 1
    assert result["average_precision"].value is None
    assert result.confidence is None
    assert result.discoveries == ()
    assert "10 labelled accounts" in str(result)


def test_one_account():
    truth = pd.DataFrame({"account_id": ["a"], "operator_id": ["x"]})
    members = pd.DataFrame({"account_id": ["a"], "cluster_id": [1]})
    result = evaluate(None, members, truth)
    assert result.counts.n_single_operators == 1
    assert result["operator_f1"].value is None
    assert result["adjusted_rand"].value is None
    assert result["bcubed_f1"].value == 1


def test_no_operators():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH.assign(operator_id=None))
    assert result["operator_f1"].value is None
    assert result["operator_pair_f1"].value is None
    assert result["average_precision"].value is None
    assert result.counts.n_operators == 0
    assert all(row.proportion == 1.0 for row in result.discoveries)
    assert len(result.operators) == 0


def test_no_truth_at_all():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH[:0])
    assert result.counts.n_clustered_unlabelled == 9
    assert result.counts.n_clusters_unjudged == 3
    assert all(figure.value is None for figure in result.scores)


def test_only_operators_labelled():
    truth = TRUTH.loc[TRUTH.operator_id.notna(), ["account_id", "operator_id"]]
    result = evaluate(CLUSTERS, MEMBERS, truth)
    assert result["stranger_rate"].value is None
    assert result["pair_precision"].value == 1.0
    assert len(result.roles) == 0


# What is refused


def test_missing_columns_are_named():
    with pytest.raises(SchemaError, match=r"the truth lacks \['operator_id'\]"):
        evaluate(CLUSTERS, MEMBERS, TRUTH[["account_id"]])
    with pytest.raises(SchemaError, match=r"members lacks \['cluster_id'\]"):
        evaluate(CLUSTERS, MEMBERS[["account_id"]], TRUTH)
    with pytest.raises(SchemaError, match=r"clusters lacks \['cluster_id'\]"):
        evaluate(CLUSTERS[["risk"]], MEMBERS, TRUTH)


def test_an_account_in_two_clusters_is_refused():
    with pytest.raises(InputError, match="'a' stands there twice"):
        evaluate(CLUSTERS, pd.concat([MEMBERS, MEMBERS[:1]]), TRUTH)


def test_an_account_with_two_truths_is_refused():
    with pytest.raises(InputError, match="in the truth once at most; 'a'"):
        evaluate(CLUSTERS, MEMBERS, pd.concat([TRUTH, TRUTH[:1]]))


def test_a_member_of_an_unknown_cluster_is_refused():
    with pytest.raises(InputError, match="cluster '3', which clusters does not have"):
        evaluate(CLUSTERS[:2], MEMBERS, TRUTH)


def test_nulls_in_ids_are_refused():
    with pytest.raises(InputError, match="1 rows without an account_id"):
        evaluate(CLUSTERS, MEMBERS, TRUTH.assign(account_id=[None, *"bcdefghij"]))
    with pytest.raises(InputError, match="9 rows without a cluster_id"):
        evaluate(CLUSTERS, MEMBERS.assign(cluster_id=None), TRUTH)


def test_probabilities_outside_0_to_1_are_refused():
    with pytest.raises(InputError, match=r"clusters\.risk must lie in 0\.\.1; got 7"):
        evaluate(CLUSTERS.assign(risk=7.0), MEMBERS, TRUTH)
    with pytest.raises(InputError, match=r"members\.probability must be numbers"):
        evaluate(CLUSTERS, MEMBERS.assign(probability="high"), TRUTH)
    with pytest.raises(InputError, match="without nulls"):
        measure_calibration([0.1, np.nan], [True, False])


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="n_bootstrap must be 0 or more; got -1"):
        evaluate(CLUSTERS, MEMBERS, TRUTH, n_bootstrap=-1)
    with pytest.raises(ConfigError, match="level must lie between 0 and 1; got 95"):
        evaluate(CLUSTERS, MEMBERS, TRUTH, level=95)


def test_an_unknown_score_is_answered_with_the_known_ones():
    with pytest.raises(UnknownIdError, match="no score is called 'f2'; there are operator_f1,"):
        evaluate(CLUSTERS, MEMBERS, TRUTH)["f2"]


# What is given back


def test_to_dict_is_json_without_nan():
    plain = evaluate(CLUSTERS, MEMBERS, TRUTH).to_dict(detail=True)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["scores"]["pair_recall"]["value"] == pytest.approx(0.8)
    assert [row["operator_id"] for row in plain["operators"]] == ["x", "y"]


def test_text_names_every_defined_score_and_the_worst_operator():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH)
    text = str(result)
    for figure in result.scores:
        assert (figure.name in text) == (figure.value is not None)
    assert "Operators found worst" in text


def test_to_frame_has_one_row_a_score():
    result = evaluate(CLUSTERS, MEMBERS, TRUTH)
    assert result.to_frame()["name"].tolist() == [figure.name for figure in result.scores]
