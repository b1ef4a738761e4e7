"""Graphs for other programs: accounts and identifiers as nodes, observations as edges.

The writers take two frames, of nodes and of edges, and know nothing of where they came from::

    nodes: id, label, type, kind  [family, cluster_id, tier, probability, n_accounts,
           first_seen, last_seen, any further column]
    edges: source, target, kind   [bits, count, first_seen, last_seen, any further column]

`add_viz` gives the nodes colours, sizes and positions; `write_gexf`, `write_graphml` and
`write_csv` write them so that Gephi, networkx, igraph, graphology and spreadsheets can read them.
"""

from linkage.export.files import Written
from linkage.export.gexf import write_gexf
from linkage.export.graphml import write_graphml
from linkage.export.spreadsheet import write_csv
from linkage.export.viz import add_viz

__all__ = ["Written", "add_viz", "write_csv", "write_gexf", "write_graphml"]
