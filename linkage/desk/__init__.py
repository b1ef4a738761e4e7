"""The analyst's desk: a dossier to hand on, charts, and an interactive graph for notebooks.

Everything here reads a result's tables and changes nothing. `facts` computes what there is to say
about a cluster; `dossier` prints it as a page, `charts` draws it, `display` shows it in a notebook,
`widget` makes its graph explorable. What they need beyond linkage itself comes with the extras
``report`` and ``notebook`` and is imported only where it is used.
"""

from linkage.desk.background import (
    Background,
    find_accounts_file,
    find_background,
    read_background,
)
from linkage.desk.dossier import DossierSettings, render_dossier, render_overview, write_page
from linkage.desk.facts import ClusterFacts, gather_facts
from linkage.desk.purposes import Purpose, load_purposes

__all__ = [
    "Background",
    "ClusterFacts",
    "DossierSettings",
    "Purpose",
    "find_accounts_file",
    "find_background",
    "gather_facts",
    "load_purposes",
    "read_background",
    "render_dossier",
    "render_overview",
    "write_page",
]
