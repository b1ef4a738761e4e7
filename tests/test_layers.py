"""The walls between modules stand."""

import ast
from pathlib import Path

import networkx as nx
import pytest

import linkage

ROOT = Path(linkage.__file__).parent
LAYER = {
    "_version": 0.0,
    "errors": 0.0,
    "schema": 1.0,
    "config": 1.1,
    "checkpoints": 2.0,
    "datafiles": 2.0,
    "engine": 2.0,
    "frames": 2.0,
    "graph": 2.0,
    "kernels": 1.9,
    "memory": 1.9,
    "prompts": 2.0,
    "specificity": 2.0,
    "sources": 3.1,  # the input side is one stage of several modules, in this order
    "readings": 3.2,
    "identifiers": 3.2,
    "groups": 3.3,
    "edges": 3.35,
    "refusals": 3.4,
    "singles": 3.4,
    "observations": 3.5,
    "checkup": 3.6,
    "embeddings": 3.6,
    "hierarchy": 3.7,  # looks at clusters as communities are looked for
    "desk": 3.9,  # draws with what export knows
    "explain": 3.95,  # shows itself in notebooks as the desk draws it
    "result": 4.0,
    "case": 4.1,
    "pipeline": 4.2,
    "cli": 5.0,
}
STAGE = 3.0  # every other module: stages never import each other


def list_imports(path: Path) -> set[str]:
    """Return the top-level modules of linkage that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("linkage"):
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
    return found - {"__version__"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_lower_layers(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for other in list_imports(path) - {own}:
        assert LAYER.get(other, STAGE) < LAYER.get(own, STAGE), f"{own} imports {other}"


def test_only_the_engine_knows_duckdb():
    users = [p.name for p in ROOT.rglob("*.py") if "import duckdb" in p.read_text()]
    assert users == ["engine.py"]


def test_only_communities_and_graph_know_igraph():
    users = {p.name for p in ROOT.rglob("*.py") if "import igraph" in p.read_text()}
    assert users - {"result.py", "layout.py"} == {"communities.py", "graph.py"}


def list_module_imports(path: Path, names: set[str]) -> set[str]:
    """Return the modules of linkage that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & names or {node.module}
    return found & names


def test_no_module_is_in_an_import_cycle():
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = ("linkage", *path.relative_to(ROOT).with_suffix("").parts)
        names[".".join(part for part in parts if part != "__init__")] = path
    graph = nx.DiGraph(
        (name, other)
        for name, path in names.items()
        for other in list_module_imports(path, set(names))
    )
    assert [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1] == []
