"""The Southern Women: who came to which social event, and who belongs together."""

from dataclasses import dataclass
from typing import Final

import networkx as nx
import pandas as pd

__all__ = ["SouthernWomen", "southern_women"]

# Women 1 to 9 in the order of the book's table.
_FIRST: Final = (
    "Evelyn Jefferson", "Laura Mandeville", "Theresa Anderson", "Brenda Rogers",
    "Charlotte McDowd", "Frances Anderson", "Eleanor Nye", "Pearl Oglethorpe", "Ruth DeSand",
)  # fmt: skip
# Women 8, 9 and 16: on the margin of a group, mostly seen where both groups went.
_BOUNDARY: Final = ("Pearl Oglethorpe", "Ruth DeSand", "Dorothy Murchison")


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthernWomen:
    """Eighteen women, fourteen events, 89 visits.

    Attributes
    ----------
    observations : DataFrame
        The contract's observations: account_id (a woman), kind ``event``, value, count 1.
    truth : DataFrame
        account_id, operator_id (``group-1`` or ``group-2``), role (``core`` or ``boundary``),
        group_id (the same as operator_id).
    """

    observations: pd.DataFrame
    truth: pd.DataFrame


def southern_women() -> SouthernWomen:
    """Build the Southern Women data from networkx.

    Returns
    -------
    SouthernWomen

    Notes
    -----
    Davis, Gardner and Gardner (1941), "Deep South: A Social Anthropological Study of Caste and
    Class", University of Chicago Press, report two groups: women 1 to 9 and women 10 to 18 in the
    order of their table. Freeman (2003), "Finding social groups: a meta-analysis of the southern
    women data", in "Dynamic Social Network Modeling and Analysis", National Academies Press,
    compares twenty-one later methods: they agree on the cores. Women 8, 9 and 16, whom they place
    differently (the book itself counts woman 9 to both groups), carry the role ``boundary`` here;
    a method that puts them elsewhere is not wrong.

    Examples
    --------
    >>> women = southern_women()
    >>> women.observations.shape
    (89, 4)
    >>> women.truth["operator_id"].value_counts().to_dict()
    {'group-1': 9, 'group-2': 9}
    """
    graph = nx.davis_southern_women_graph()
    women = sorted(graph.graph["top"])
    visits = [(woman, "event", event) for woman in women for event in sorted(graph[woman])]
    observations = pd.DataFrame(visits, columns=["account_id", "kind", "value"]).assign(count=1)
    group = ["group-1" if woman in _FIRST else "group-2" for woman in women]
    truth = pd.DataFrame(
        {
            "account_id": women,
            "operator_id": group,
            "role": ["boundary" if woman in _BOUNDARY else "core" for woman in women],
            "group_id": group,
        }
    )
    return SouthernWomen(observations=observations, truth=truth)
