"""Graphs for other programs: accounts and identifiers as nodes, observations as edges.

The writers take two frames, of nodes and of edges, and know nothing of where they came from::

    nodes: id, label, type, kind  [family, cluster_id, tier, probability, n_accounts,
           first_seen, last_seen, any further column]
    edges: source, target, kind   [bits, count, first_seen, last_seen, any further column]

`add_viz` gives the nodes colours, sizes and positions; `write_gexf`, `write_graphml` and
`write_csv` write them so that Gephi, networkx, igraph, graphology and spreadsheets can read them.
`keep_strongest` thins a large graph out.

What others can act on is picked by `list_indicators`, and written by `write_blocklist`,
`write_stix` and `write_misp`.
"""

from linkage.export.backbone import keep_strongest
from linkage.export.blocklist import write_blocklist
from linkage.export.files import Written
from linkage.export.gexf import write_gexf
from linkage.export.graphml import write_graphml
from linkage.export.indicators import list_indicators
from linkage.export.misp import build_misp, write_misp
from linkage.export.spreadsheet import write_csv
from linkage.export.stix import build_stix, write_stix
from linkage.export.viz import add_viz

__all__ = [
    "Written",
    "add_viz",
    "build_misp",
    "build_stix",
    "keep_strongest",
    "list_indicators",
    "write_blocklist",
    "write_csv",
    "write_gexf",
    "write_graphml",
    "write_misp",
    "write_stix",
]
