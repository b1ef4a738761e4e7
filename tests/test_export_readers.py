"""GEXF, read by graphology on Node: a reader that is not ours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import linkage
from linkage import export

JS = Path(__file__).parents[1] / "js"


def read_with_graphology(path):
    if shutil.which("node") is None or not (JS / "node_modules" / "graphology-gexf").is_dir():
        pytest.skip("no graphology-gexf: run npm ci in js/ (.ci/run does)")
    done = subprocess.run(
        ["node", "read_gexf.mjs", str(path)],  # noqa: S607
        cwd=JS, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_graphology_reads_what_we_wrote(ring, tmp_path):
    result = linkage.link(observations=ring)
    nodes, edges = result.graph_tables([1])
    export.write_gexf(export.add_viz(nodes, edges), edges, tmp_path / "ring.gexf")
    found = read_with_graphology(tmp_path / "ring.gexf")
    assert (found["nodes"], found["edges"]) == (len(nodes), len(edges))
    assert found["weight"] == pytest.approx(edges["bits"].fillna(0.1).clip(lower=0.1).sum())
    assert found["placed"] == found["coloured"] == len(nodes)
    assert {"label", "type", "kind", "cluster_id", "tier"} <= set(found["attributes"])


def test_graphology_reads_hostile_texts(tmp_path):
    from hostile import make_hostile_result

    nodes, edges = make_hostile_result().graph_tables([1])
    export.write_gexf(export.add_viz(nodes, edges), edges, tmp_path / "bad.gexf")
    found = read_with_graphology(tmp_path / "bad.gexf")
    assert (found["nodes"], found["edges"]) == (len(nodes), len(edges))
