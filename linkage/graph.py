"""The graph of accounts and identifiers, and its forms for networkx, igraph and scipy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    import igraph
    import networkx
    import pyarrow as pa

MAX_SETS = 1_024  # of independent families that are looked at; kinds are rarely so entangled

# What AccountGraph keeps once it has been asked for.
COUNTED = frozenset(
    {"holders", "kind_codes", "kind_names", "degrees", "sightings", "n_values", "family_codes",
     "family_names"}
)  # fmt: skip

__all__ = ["AccountGraph", "build_graph", "find_starts", "to_igraph", "to_networkx"]


@dataclass(frozen=True, kw_only=True)
class AccountGraph:
    """Accounts, identifiers, and who was seen with what.

    Attributes
    ----------
    accounts : pandas.DataFrame, N rows
        ``account_id`` (sorted) and attributes; an account's code is its row.
    identifiers : pandas.DataFrame, M rows
        ``kind``, ``value`` (sorted), ``family``, ``chosen``, ``n_accounts``; an identifier's code
        is its row.
    edges : pandas.DataFrame, E rows
        ``account`` and ``identifier`` (codes, int32), ``count``, ``first_seen``, ``last_seen``;
        one row a pair, sorted by it.
    dependent : tuple of (str, str)
        Pairs of families that the data show to be no independent evidence of each other.
    alone : pandas.DataFrame or None
        ``account`` (code), ``kind`` (categories: `kind_names`), ``n``, ``count``: further
        identifiers of a kind that the account alone holds. They are counted, and have neither code
        nor edge. A ``count`` below zero takes back what edges tell twice of one event.
    """

    accounts: pd.DataFrame
    identifiers: pd.DataFrame
    edges: pd.DataFrame
    dependent: tuple[tuple[str, str], ...] = ()
    alone: pd.DataFrame | None = None

    def modify(self, **changes: Any) -> AccountGraph:
        """Return a graph of the same edges, with what has been counted of them so far.

        Parameters
        ----------
        **changes
            Fields that differ: none of them says who holds what, or how often.

        Returns
        -------
        AccountGraph
        """
        modified = replace(self, **changes)
        modified.__dict__.update({name: value for name, value in self.__dict__.items()
                                  if name in COUNTED})  # fmt: skip
        return modified

    @property
    def n_accounts(self) -> int:
        """Number of accounts, N."""
        return len(self.accounts)

    @property
    def n_identifiers(self) -> int:
        """Number of identifiers, M."""
        return len(self.identifiers)

    @cached_property
    def holders(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Number of accounts that hold each identifier, shape (M,)."""
        return np.bincount(self.edges["identifier"], minlength=self.n_identifiers)

    @cached_property
    def kind_codes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Code of each identifier's kind, shape (M,); kinds in alphabetical order."""
        return _number_texts(self.identifiers["kind"])

    @cached_property
    def kind_names(self) -> list[str]:
        """Kinds in the order of their codes."""
        return sorted(self.identifiers["kind"].unique())

    @cached_property
    def degrees(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Number of identifiers of each kind that each account holds, shape (N, kinds)."""
        return self._sum_by_kind(np.ones(len(self.edges), np.int64), "n")

    @cached_property
    def sightings(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """How often each account was seen with identifiers of each kind, shape (N, kinds)."""
        return self._sum_by_kind(self.edges["count"].to_numpy(np.int64), "count")

    @cached_property
    def n_values(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Number of identifiers of each kind, shape (kinds,)."""
        alone = self.degrees.sum(axis=0) - np.bincount(
            self.kind_codes, self.holders, minlength=len(self.kind_names)
        ).astype(np.int64)
        known = np.bincount(self.kind_codes, minlength=len(self.kind_names))
        return np.asarray(known + alone, np.int64)

    def _sum_by_kind(
        self, weights: np.ndarray[Any, np.dtype[np.int64]], column: str
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Add up a weight of each edge, and a column of those alone, by account and kind."""
        n_kinds = len(self.kind_names)
        total = np.zeros(self.n_accounts * n_kinds, np.int64)
        compile_kernel(_add_by_kind)(
            self.edges["account"].to_numpy(),
            self.edges["identifier"].to_numpy(),
            self.kind_codes,
            weights,
            n_kinds,
            total,
        )
        if self.alone is not None and len(self.alone):
            compile_kernel(_add_alone)(
                self.alone["account"].to_numpy(),
                self.alone["kind"].cat.codes.to_numpy(),
                self.alone[column].to_numpy(),
                n_kinds,
                total,
            )
        return total.reshape(self.n_accounts, n_kinds)

    @cached_property
    def family_codes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Code of each identifier's family, shape (M,); families in alphabetical order."""
        return _number_texts(self.identifiers["family"])

    @cached_property
    def family_names(self) -> list[str]:
        """Families in the order of their codes."""
        return sorted(self.identifiers["family"].unique())

    def find_independent(self, dependent: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which families are independent evidence of each other.

        Parameters
        ----------
        dependent : tuple of str
            Pairs of families such as ``"content+software"`` that are not, beside those that the
            data show.

        Returns
        -------
        array of bool, shape (families, families)
            Symmetric; False on the diagonal.
        """
        independent = ~np.eye(len(self.family_names), dtype=bool)
        for pair in [*(pair.split("+") for pair in dependent), *self.dependent]:
            codes = [self.family_names.index(f) for f in pair if f in self.family_names]
            if len(codes) == 2:
                independent[np.ix_(codes, codes)] = False
        return independent

    def list_independent(self, dependent: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the largest sets of families that are all independent of each other.

        Parameters
        ----------
        dependent : tuple of str
            As for :meth:`find_independent`.

        Returns
        -------
        array of bool, shape (sets, families)
            The maximal cliques of the independent families, in a fixed order: at most
            ``MAX_SETS``, those of most families. At least one row, if there is a family.
        """
        import networkx as nx

        independent = self.find_independent(dependent)
        cliques = (sorted(clique) for clique in nx.find_cliques(nx.from_numpy_array(independent)))
        largest = sorted(cliques, key=lambda clique: (-len(clique), clique))[:MAX_SETS]
        sets = np.zeros((len(largest), len(independent)), bool)
        for row, clique in enumerate(largest):
            sets[row, clique] = True
        return sets

    def to_matrix(self) -> sparse.csr_array:
        """Return the account x identifier matrix.

        Returns
        -------
        scipy.sparse.csr_array, shape (N, M), float64
            1 where the account was seen with the identifier.
        """
        starts = find_starts(self.edges["account"].to_numpy(), self.n_accounts)
        identifier = self.edges["identifier"].to_numpy()
        return sparse.csr_array(
            (np.ones(len(identifier)), identifier, starts),
            shape=(self.n_accounts, self.n_identifiers),
        )


def _add_by_kind(
    account: Any, identifier: Any, kind: Any, weights: Any, n_kinds: int, total: Any
) -> None:
    """Add up the weights of edges by account and kind; compiled by numba."""
    for p in range(len(account)):
        total[account[p] * n_kinds + kind[identifier[p]]] += weights[p]


def _add_alone(account: Any, kind: Any, weights: Any, n_kinds: int, total: Any) -> None:
    """Add up a weight by account and kind; compiled by numba."""
    for p in range(len(account)):
        total[account[p] * n_kinds + kind[p]] += weights[p]


def find_starts(codes: np.ndarray[Any, Any], n_codes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where the rows of each code begin, of codes that are sorted.

    Parameters
    ----------
    codes : array of integers
        Sorted, from 0 to below ``n_codes``.
    n_codes : int

    Returns
    -------
    array of int64, shape (n_codes + 1,)

    Examples
    --------
    >>> find_starts(np.array([0, 0, 2]), 3)
    array([0, 2, 2, 3])
    """
    # Of one type, so that the codes are not copied.
    return np.searchsorted(codes, np.arange(n_codes + 1, dtype=codes.dtype))


def _number_texts(texts: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return each text's place among the distinct ones, in alphabetical order."""
    return np.asarray(pd.factorize(texts, sort=True)[0], np.int64)


def build_graph(
    accounts: pa.Table,
    identifiers: pa.Table,
    edges: pa.Table,
    *,
    chosen: frozenset[str],
    alone: pa.Table | None = None,
) -> AccountGraph:
    """Build the graph from canonical observations.

    Parameters
    ----------
    accounts : pyarrow.Table, N rows
        Column ``account_id`` at least, sorted.
    identifiers : pyarrow.Table, M rows
        Columns ``kind``, ``value``, ``family``, sorted.
    edges : pyarrow.Table, E rows
        Columns ``account``, ``identifier``, ``count``, ``first_seen``, ``last_seen``.
    chosen : frozenset of str
        Kinds whose values an operator chooses.

    Returns
    -------
    AccountGraph
    """
    nodes = identifiers.to_pandas()
    nodes["chosen"] = nodes["kind"].isin(chosen)
    links = edges.to_pandas()
    links = links.astype({"account": np.int32, "identifier": np.int32, "count": np.int64})
    nodes["n_accounts"] = np.bincount(links["identifier"], minlength=len(nodes))
    return AccountGraph(
        accounts=accounts.to_pandas(),
        identifiers=nodes,
        edges=links,
        # Of a kind that nobody shares anything of, nothing is known to the graph.
        alone=None if alone is None else _keep_kinds(alone.to_pandas(), nodes["kind"]),
    )


def _keep_kinds(alone: pd.DataFrame, kinds: pd.Series[str]) -> pd.DataFrame:
    """Return what is of the kinds of the graph, numbered as these are."""
    # Not by type: of types with the same categories, those of another order pass for the same.
    named = alone["kind"].astype("category").cat.set_categories(sorted(kinds.unique()))
    kept: pd.DataFrame = alone.assign(kind=named)[named.notna()].reset_index(drop=True)
    return kept


def to_networkx(nodes: pd.DataFrame, edges: pd.DataFrame) -> networkx.Graph[str]:
    """Return node and edge tables as a networkx graph.

    Parameters
    ----------
    nodes : pandas.DataFrame
        Column ``id``, and attributes; missing ones are left out of a node's attributes.
    edges : pandas.DataFrame
        Columns ``source`` and ``target`` (node ids), and attributes.

    Returns
    -------
    networkx.Graph
    """
    import networkx as nx

    graph: networkx.Graph[str] = nx.Graph()
    graph.add_nodes_from(
        (row.pop("id"), _drop_missing(row)) for row in nodes.to_dict(orient="records")
    )
    graph.add_edges_from(
        (row.pop("source"), row.pop("target"), _drop_missing(row))
        for row in edges.to_dict(orient="records")
    )
    return graph


def to_igraph(nodes: pd.DataFrame, edges: pd.DataFrame) -> igraph.Graph:
    """Return node and edge tables as an igraph graph; node ids become the attribute ``name``.

    Parameters
    ----------
    nodes : pandas.DataFrame
        Column ``id``, and attributes.
    edges : pandas.DataFrame
        Columns ``source`` and ``target`` (node ids), and attributes.

    Returns
    -------
    igraph.Graph
    """
    import igraph

    index = pd.Series(np.arange(len(nodes)), index=nodes["id"].to_numpy())
    pairs = zip(index.loc[edges["source"]], index.loc[edges["target"]], strict=True)
    return igraph.Graph(
        n=len(nodes),
        edges=list(pairs),
        vertex_attrs={"name": nodes["id"].tolist()}
        | {name: nodes[name].tolist() for name in nodes.columns if name != "id"},
        edge_attrs={
            name: edges[name].tolist() for name in edges.columns if name not in {"source", "target"}
        },
    )


def _drop_missing(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if not pd.isna(value)}
