"""The truth as a table: read, checked, and laid beside the clusters that are judged by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.datafiles import read_texts
from linkage.errors import InputError, SchemaError
from linkage.schema import TRUTH_COLUMNS

__all__ = [
    "Labels",
    "align_labels",
    "check_probability",
    "look_up",
    "read_truth",
    "require_columns",
    "sum_by_code",
    "to_text",
]

Ints = npt.NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)

REQUIRED_TRUTH = ("account_id", "operator_id")
REQUIRED_MEMBERS = ("account_id", "cluster_id")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """The labelled accounts: where each truly belongs, and where it was put.

    True groups are numbered operators first, then innocent groups, then one group for every account
    that belongs to nobody, so that ``code < n_operators`` says whether a group is an operator.
    """

    group: Ints  # (n,) true group of each labelled account
    cluster: Ints  # (n,) its cluster; -1 where it is in none
    probability: npt.NDArray[np.float64]  # (n,) its probability of membership; NaN where not given
    role: npt.NDArray[np.object_]  # (n,) its role, "innocent" or "operator" where not given
    group_names: npt.NDArray[np.object_]  # (n_operators + n_shared,) names of the larger groups
    cluster_names: npt.NDArray[np.object_]  # (n_clusters,)
    cluster_sizes: Ints  # (n_clusters,) members, labelled or not
    n_operators: int
    n_groups: int  # true groups, those of one account included
    n_unlabelled: int  # clustered accounts without a row in the truth

    @property
    def is_operator(self) -> npt.NDArray[np.bool_]:
        """Return for each labelled account whether an operator runs it, shape (n,)."""
        return self.group < self.n_operators

    @property
    def n_clusters(self) -> int:
        """Number of clusters, those without a labelled member included."""
        return len(self.cluster_names)


def read_truth(path: str | Path) -> pd.DataFrame:
    """Read a table of true operators.

    Parameters
    ----------
    path : str or Path
        A ``.parquet`` or ``.csv`` file with the columns account_id and operator_id (null or empty
        for innocents), and, where known, role and group_id. Other columns are ignored.

    Returns
    -------
    pandas.DataFrame
        The columns of the truth that the file has, as text.

    Raises
    ------
    MissingInputError
        Where no such file exists.
    SchemaError
        Where account_id or operator_id is missing.
    InputError
        Where the file is of another type or cannot be parsed.
    """
    frame = read_texts(path, "truth")
    require_columns(frame, REQUIRED_TRUTH, str(path))
    return frame[[column for column in TRUTH_COLUMNS if column in frame]]


def require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise a SchemaError that names the columns which a table lacks."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise SchemaError(f"{name} lacks {missing}; it has {list(frame.columns)}")


def to_text(values: "pd.Series[Any]") -> "pd.Series[str]":
    """Turn ids into text, so that 7 and "7" are one id; empty text is null."""
    text = values.astype("string")
    return text.mask(text == "")


def align_labels(
    members: pd.DataFrame, truth: pd.DataFrame, cluster_ids: "pd.Series[Any] | None" = None
) -> Labels:
    """Lay the truth and the clusters side by side, over the labelled accounts.

    Parameters
    ----------
    members : pandas.DataFrame
        account_id, cluster_id and, where known, probability in 0..1; an account once at most.
    truth : pandas.DataFrame
        account_id, operator_id and, where known, role and group_id; an account once at most.
    cluster_ids : pandas.Series, optional
        The clusters in the order in which they are numbered; by default those of the members.

    Returns
    -------
    Labels

    Raises
    ------
    SchemaError
        Where a required column is missing.
    InputError
        Where an account stands twice, an account_id is null, or a member's cluster is unknown.
    """
    require_columns(truth, REQUIRED_TRUTH, "the truth")
    require_columns(members, REQUIRED_MEMBERS, "members")
    accounts = _index_accounts(truth, "the truth")
    clustered = _index_accounts(members, "members")
    codes, cluster_names = _number_clusters(members, cluster_ids)
    position = clustered.get_indexer(accounts).astype(np.int64)
    group, group_names, n_operators, n_groups = _number_groups(truth)
    return Labels(
        group=group,
        cluster=look_up(codes, position, -1),
        probability=look_up(_probabilities(members), position, np.nan),
        role=_roles(truth, group < n_operators),
        group_names=group_names,
        cluster_names=cluster_names,
        cluster_sizes=np.bincount(codes, minlength=len(cluster_names)).astype(np.int64),
        n_operators=n_operators,
        n_groups=n_groups,
        n_unlabelled=len(clustered) - int(np.count_nonzero(position >= 0)),
    )


def look_up(values: npt.NDArray[_T], codes: Ints, otherwise: object) -> npt.NDArray[_T]:
    """Take values by code, and another value where the code is negative, shape (n_codes,)."""
    known = codes >= 0
    out = np.full(len(codes), otherwise, dtype=values.dtype)
    out[known] = values[codes[known]]
    return out


def sum_by_code(codes: Ints, weights: npt.ArrayLike, n_codes: int) -> npt.NDArray[np.float64]:
    """Sum weights by code 0..n_codes-1, shape (n_codes,)."""
    weights = np.asarray(weights, dtype=np.float64)
    return np.bincount(codes, weights=weights, minlength=n_codes).astype(np.float64)


def _index_accounts(frame: pd.DataFrame, name: str) -> pd.Index:
    accounts = pd.Index(to_text(frame["account_id"]))
    if accounts.hasnans:
        raise InputError(
            f"{name} has {int(np.count_nonzero(accounts.isna()))} rows without an account_id"
        )
    if not accounts.is_unique:
        twice = accounts[accounts.duplicated()][0]
        raise InputError(f"an account stands in {name} once at most; {twice!r} stands there twice")
    return accounts


def _number_clusters(
    members: pd.DataFrame, cluster_ids: "pd.Series[Any] | None"
) -> tuple[Ints, npt.NDArray[np.object_]]:
    ids = to_text(members["cluster_id"])
    if ids.isna().any():
        raise InputError(f"members has {int(ids.isna().sum())} rows without a cluster_id")
    if cluster_ids is None:
        codes, names = pd.factorize(ids, sort=True)
        return codes.astype(np.int64), np.asarray(names, dtype=object)
    known = pd.Index(to_text(cluster_ids))
    if not known.is_unique:
        raise InputError("a cluster stands in clusters once; some cluster_id stands there twice")
    codes = known.get_indexer(pd.Index(ids))
    if (codes < 0).any():
        stray = ids.iloc[int(np.argmax(codes < 0))]
        raise InputError(f"members names cluster {stray!r}, which clusters does not have")
    return codes.astype(np.int64), np.asarray(known, dtype=object)


def _number_groups(truth: pd.DataFrame) -> tuple[Ints, npt.NDArray[np.object_], int, int]:
    operator, operators = pd.factorize(to_text(truth["operator_id"]), sort=True)
    innocent = operator < 0
    shared = to_text(truth["group_id"]) if "group_id" in truth else None
    names = np.asarray(operators, dtype=object)
    group = operator.astype(np.int64)
    if shared is not None:
        code, shared_names = pd.factorize(shared.where(innocent), sort=True)
        group = np.where(code >= 0, code + len(operators), group)
        names = np.concatenate([names, np.asarray(shared_names, dtype=object)])
    alone = group < 0
    n_alone = int(alone.sum())
    group[alone] = len(names) + np.arange(n_alone)
    return group, names, len(operators), len(names) + n_alone


def _probabilities(members: pd.DataFrame) -> npt.NDArray[np.float64]:
    if "probability" not in members:
        return np.full(len(members), np.nan)
    return check_probability(members["probability"], "members.probability")


def check_probability(values: "pd.Series[Any]", name: str) -> npt.NDArray[np.float64]:
    """Return values as floats, NaN for null; raise InputError where one is outside 0..1."""
    try:
        numbers = np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers from 0 to 1; got {values.dtype}") from error
    outside = (numbers < 0) | (numbers > 1)
    if outside.any():
        raise InputError(f"{name} must lie in 0..1; got {numbers[outside][0]:g}")
    return numbers


def _roles(truth: pd.DataFrame, is_operator: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    default = np.where(is_operator, "operator", "innocent").astype(object)
    if "role" not in truth:
        return default
    role = to_text(truth["role"])
    return np.where(role.isna(), default, role.to_numpy(dtype=object))
