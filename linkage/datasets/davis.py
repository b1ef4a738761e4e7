"""The Southern Women: who came to which social event, and who belongs together."""

from dataclasses import dataclass
from typing import Final

import networkx as nx
import pandas as pd

__all__ = ["SouthernWomen", "southern_women"]

# Where the book puts each woman within her group, women 1 to 18 in the order of its table.
_POSITIONS: Final = (
    *("core",) * 4, *("primary",) * 3, *("secondary",) * 3, *("primary",) * 2, *("core",) * 3,
    *("secondary",) * 3,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthernWomen:
    """Eighteen women, fourteen events, 89 visits.

    Attributes
    ----------
    observations : DataFrame
        The contract's observations: account_id (a woman), kind ``event``, value, count 1.
    truth : DataFrame
        account_id, operator_id (``group-1`` or ``group-2``), role (``core``, ``primary`` or
        ``secondary``: how far inside of her group), group_id (the same as operator_id).
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
    Class", University of Chicago Press, report two groups, women 1 to 9 and women 9 to 18 in the
    order of their table: both claim woman 9, Ruth DeSand. The book calls women 1 to 4 and 13 to 15
    the core, 5 to 7 and 11 to 12 primary, and 8 to 10 and 16 to 18 secondary. Freeman (2003),
    "Finding social groups: a meta-analysis of the southern women data", in "Dynamic Social Network
    Modeling and Analysis", National Academies Press, compares twenty-one analyses; their consensus
    are women 1 to 9 and women 10 to 18, which is the truth here. A method that puts Ruth DeSand
    into the other group is not wrong.

    Examples
    --------
    >>> women = southern_women()
    >>> women.observations.shape
    (89, 4)
    >>> women.truth["operator_id"].value_counts().to_dict()
    {'group-1': 9, 'group-2': 9}
    """
    graph = nx.davis_southern_women_graph()
    women = list(graph.graph["top"])
    visits = [(woman, "event", event) for woman in sorted(women) for event in sorted(graph[woman])]
    observations = pd.DataFrame(visits, columns=["account_id", "kind", "value"]).assign(count=1)
    group = ["group-1"] * 9 + ["group-2"] * 9
    truth = pd.DataFrame(
        {"account_id": women, "operator_id": group, "role": _POSITIONS, "group_id": group}
    )
    truth = truth.sort_values("account_id", ignore_index=True)
    return SouthernWomen(observations=observations, truth=truth)
