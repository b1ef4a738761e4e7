"""Charts and notebook display."""

import json

import pandas as pd
import pytest

import linkage
from linkage.errors import UnknownIdError

altair = pytest.importorskip("altair", reason="altair is not installed (extra notebook)")


@pytest.fixture
def result(ring):
    return linkage.link(observations=ring)


def read_values(chart):
    return [row for rows in json.loads(chart.to_json())["datasets"].values() for row in rows]


def test_a_chart_of_the_case_has_one_dot_a_cluster(result):
    rows = read_values(result.charts())
    assert {row["n_accounts"] for row in rows} == {9}


def test_the_waterfall_has_the_evidence_of_the_account(result):
    rows = read_values(result.charts("ring0"))
    assert {row["label"] for row in rows} == {"payment card", "device phone", "ip 192.0.2.1"}
    bits = result.evidence.query("account_id == 'ring0'")["bits"].sum()
    assert max(row["end"] for row in rows) == pytest.approx(bits)


def test_the_heat_map_has_every_holding(result):
    from linkage.desk.charts import chart_cells

    assert len(read_values(chart_cells(result, 1))) == 27


def test_every_chart_of_a_cluster_can_be_drawn(result):
    vl_convert = pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    for chart in (result.charts(), result.charts(1), result.charts("ring3")):
        assert vl_convert.vegalite_to_svg(chart.to_dict()).startswith("<svg")


def test_notebooks_get_a_picture_that_needs_no_server(result):
    pytest.importorskip("vl_convert", reason="vl-convert is not installed (extra notebook)")
    for chart in (result.charts(), result.charts(1), result.charts("ring3")):
        bundle = chart._repr_mimebundle_()
        assert set(bundle) == {"image/svg+xml"}
        assert "<script" not in bundle["image/svg+xml"]
        assert "cdn" not in bundle["image/svg+xml"]
        assert isinstance(chart, altair.TopLevelMixin)


def test_unknown_ids_are_named(result):
    with pytest.raises(UnknownIdError, match="no cluster 9"):
        result.charts(9)
    with pytest.raises(UnknownIdError, match="no evidence ties account 'neighbour00'"):
        result.charts("neighbour00")


def test_notebooks_show_results_and_explanations(result):
    shown = result._repr_html_()
    assert "1 clusters of 9 accounts" in shown
    assert "operator" in shown
    assert "192.0.2.1" in result.explain(1)._repr_html_()
    assert "card" in result.explain("ring0", "ring1")._repr_html_()


def test_an_empty_result_shows_itself(ring):
    alone = ring.drop_duplicates("account_id").assign(value=lambda t: t["account_id"])
    nothing = linkage.link(observations=alone)
    assert "0 clusters" in nothing._repr_html_()
    assert nothing.charts().to_dict()


def test_a_riskier_cluster_keeps_its_label_where_two_would_overlap():
    from linkage.desk.charts import _spread_labels

    clusters = pd.DataFrame({"n_accounts": [50, 51, 5, 50], "confidence": [1.0, 1.0, 1.0, 0.2]})
    assert _spread_labels(clusters).index.tolist() == [0, 2, 3]


def test_a_clusters_timeline_shows_the_bans_of_the_runs_accounts(demo_result):
    happened = {row.get("happened") for row in read_values(demo_result.charts(1))}
    assert {"signed up", "banned", "signed up soon after a ban"} <= happened
