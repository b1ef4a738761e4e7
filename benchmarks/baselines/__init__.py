"""The methods that people use today, each set up as its own paper or documentation recommends.

Every method takes canonical observations (account_id, kind, value), or what was prepared from them,
and returns members (account_id, cluster_id), clusters of one account left out. ``BASELINES`` lists
them with the grid from which the benchmark picks the best setting *by the truth*: an advantage that
linkage does not get.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from benchmarks.baselines.communities import link_bipartite, link_projection, link_propagation
from benchmarks.baselines.components import link_components
from benchmarks.baselines.fellegi_sunter import link_splink, train_splink
from benchmarks.baselines.peeling import link_fraudar
from benchmarks.baselines.similarity import link_similarity

__all__ = ["BASELINES", "Baseline"]

RESOLUTIONS: Final = (1.0, 8.0, 64.0, 512.0, 4_096.0)
NO_CAP: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One method and the settings that are tried."""

    name: str
    source: str  # who proposed it
    run: Callable[..., pd.DataFrame]
    grid: tuple[Mapping[str, Any], ...]
    prepare: Callable[[pd.DataFrame], Any] | None = None  # what all settings have in common
    extra: str | None = None  # the package that it needs beyond those of the benchmarks
    notes: str = field(default="")


BASELINES: Final = (
    Baseline(
        name="components",
        source="connected components over identifiers with few holders",
        run=link_components,
        grid=tuple({"max_holders": cap} for cap in (2, 5, 10, 50, 200, 1_000)),
    ),
    Baseline(
        name="leiden-bipartite",
        source="Traag, Waltman & van Eck 2019; modularity, IDF weights",
        run=link_bipartite,
        grid=tuple({"method": "leiden", "resolution": value} for value in RESOLUTIONS),
    ),
    Baseline(
        name="louvain-bipartite",
        source="Blondel et al. 2008; IDF weights",
        run=link_bipartite,
        grid=tuple({"method": "louvain", "resolution": value} for value in RESOLUTIONS),
    ),
    Baseline(
        name="leiden-projection",
        source="Traag, Waltman & van Eck 2019; modularity, sum of shared IDF",
        run=link_projection,
        grid=tuple(
            {"method": "leiden", "max_holders": cap, "min_weight": weight, "resolution": resolution}
            for cap in (10, 50)
            for weight in (0.0, 1.0, 2.0)
            for resolution in (1.0, 64.0)
        ),
        notes="hub cap so that the projection fits in memory; min_weight in units of ln(N/2)",
    ),
    Baseline(
        name="louvain-projection",
        source="Blondel et al. 2008; sum of shared IDF",
        run=link_projection,
        grid=tuple(
            {"method": "louvain", "max_holders": cap, "min_weight": weight, "resolution": 1.0}
            for cap in (10, 50)
            for weight in (0.0, 1.0, 2.0)
        ),
        notes="as leiden-projection",
    ),
    Baseline(
        name="label-propagation",
        source="Raghavan, Albert & Kumara 2007; IDF weights",
        run=link_propagation,
        grid=tuple({"max_holders": cap} for cap in (10, 50, 1_000, NO_CAP)),
    ),
    Baseline(
        name="fraudar",
        source="Hooi et al. 2016; log weights, blocks found one after the other",
        run=link_fraudar,
        grid=tuple({"n_blocks": n} for n in (1, 5, 20, 100)),
    ),
    Baseline(
        name="similarity",
        source="Pacheco et al. 2021; TF-IDF cosine, edges above a quantile, components",
        run=link_similarity,
        grid=tuple({"quantile": q} for q in (0.9, 0.99, 0.995, 0.999)),
        notes="hub cap of 200 holders and 50 neighbours an account, so that it finishes",
    ),
    Baseline(
        name="splink",
        source="Linacre et al. 2022; Fellegi-Sunter, u by random sampling, EM for m",
        run=link_splink,
        grid=tuple({"threshold": p} for p in (0.5, 0.9, 0.99, 0.999)),
        prepare=train_splink,
        extra="splink",
        notes="generic settings: array intersections by kind, blocked on each kind's values",
    ),
)
