"""Acts: who did something with an object, and when, as numbers."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import InputError, SchemaError

__all__ = ["Acts", "read_acts"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

REQUIRED: Final = ("account_id", "kind", "value", "ts")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Acts:
    """One row an act; accounts, objects and contents are codes.

    An object is a kind and a value. A content is what carries the act (a post): two acts of one
    content are one deed.
    """

    account: Ints  # (n,)
    object: Ints  # (n,)
    content: Ints  # (n,)
    time_us: Ints  # (n,) microseconds since 1970
    kind: Ints  # (n_objects,) code of each object's kind
    is_object: Bools  # (n,) the content is the object itself, as of whoever posted it first
    account_ids: npt.NDArray[np.object_]  # (n_accounts,) sorted
    object_values: npt.NDArray[np.object_]  # (n_objects,)
    kinds: npt.NDArray[np.object_]  # (n_kinds,) sorted
    content_ids: npt.NDArray[np.object_]  # (n_contents,)
    n_left_out: int  # rows that lack something

    @property
    def n_accounts(self) -> int:
        """Number of accounts."""
        return len(self.account_ids)

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return len(self.object_values)


def read_acts(observations: pd.DataFrame) -> Acts:
    """Read observations as acts.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value, ts (a time, ISO 8601, or a number since 1970; UTC where it has no
        zone) and, where known, content_id: what carried the act. Without it every row is a content
        of its own. Rows without an account, a kind, a value or a time that can be read are left out
        and counted.

    Returns
    -------
    Acts
        In the order of the rows.

    Raises
    ------
    SchemaError
        Where a column is missing.
    InputError
        Where no ``ts`` can be read as a time.

    Examples
    --------
    >>> seen = pd.DataFrame(
    ...     {"account_id": ["b", "a"], "kind": "url", "value": ["x", "x"],
    ...      "ts": ["2021-08-21 10:00:00", "2021-08-21 10:00:07"]}
    ... )
    >>> acts = read_acts(seen)
    >>> acts.account.tolist(), np.diff(acts.time_us).tolist()
    ([1, 0], [7000000])
    """
    missing = [column for column in REQUIRED if column not in observations]
    if missing:
        raise SchemaError(
            f"observations lack {missing}; they need {list(REQUIRED)} and may have content_id"
        )
    frame = observations.assign(ts=_read_times(observations["ts"]))
    frame = frame[frame[list(REQUIRED)].notna().all(axis=1)]
    account, account_ids = pd.factorize(frame["account_id"].astype(str), sort=True)
    kind, kinds = pd.factorize(frame["kind"].astype(str), sort=True)
    value, values = pd.factorize(frame["value"].astype(str), sort=True)
    names, code = np.unique(kind.astype(np.int64) * len(values) + value, return_inverse=True)
    if "content_id" in frame:
        text = frame["content_id"].astype(str)
        content, content_ids = pd.factorize(text, sort=True)
        is_object = (text == frame["value"].astype(str)).to_numpy(bool)
    else:
        content, content_ids = np.arange(len(frame)), pd.Index(frame.index.astype(str))
        is_object = np.zeros(len(frame), bool)
    return Acts(
        account=account.astype(np.int64),
        object=code.astype(np.int64),
        content=content.astype(np.int64),
        time_us=frame["ts"].to_numpy("datetime64[us]").astype(np.int64),
        kind=(names // max(len(values), 1)).astype(np.int64),
        is_object=is_object,
        account_ids=np.asarray(account_ids, dtype=object),
        object_values=np.asarray(values, dtype=object)[names % max(len(values), 1)],
        kinds=np.asarray(kinds, dtype=object),
        content_ids=np.asarray(content_ids, dtype=object),
        n_left_out=len(observations) - len(frame),
    )


def _read_times(column: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Return times in UTC, missing where one cannot be read."""
    if pd.api.types.is_bool_dtype(column):
        raise InputError("ts must be times; got truth values")
    if pd.api.types.is_numeric_dtype(column):
        times = pd.to_datetime(_scale_epoch(column), unit="us", utc=True)
    elif pd.api.types.is_datetime64_any_dtype(column):
        times = pd.to_datetime(column, utc=True)
    else:
        times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    if len(column) and times.isna().all():
        raise InputError(
            "ts must be times, such as 2021-08-21T10:00:07Z, or numbers since 1970; "
            f"got {str(column.iloc[0])!r}"
        )
    return times.astype("datetime64[us, UTC]")


def _scale_epoch(column: "pd.Series[Any]") -> "pd.Series[int]":
    """Read seconds, milliseconds, microseconds or nanoseconds, told apart by their magnitude."""
    number = column.astype("Float64" if pd.api.types.is_float_dtype(column) else "Int64")
    size = number.abs().fillna(0)
    micros = number * 1_000_000
    for low, up, down in ((10**11, 1_000, 1), (10**14, 1, 1), (10**17, 1, 1_000)):
        micros = micros.mask(size >= low, number * up // down)
    return micros.round().astype("Int64")
