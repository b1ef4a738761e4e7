"""Tables as plain Python values, for JSON and for page templates."""

from typing import Any

import pandas as pd

__all__ = ["to_records"]


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a dictionary a row; missing values are None.

    Parameters
    ----------
    frame : pandas.DataFrame

    Returns
    -------
    list of dict
        Keys are the names of the columns, as text.

    Examples
    --------
    >>> to_records(pd.DataFrame({"a": [1, 2], "b": [None, "x"]}))
    [{'a': 1, 'b': None}, {'a': 2, 'b': 'x'}]
    """
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
