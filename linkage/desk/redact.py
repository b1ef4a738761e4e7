"""Names for outside readers: accounts and identifiers become numbers that lead nowhere."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from linkage.desk.facts import ClusterFacts

__all__ = ["Redactor"]


class Redactor:
    """Replaces accounts and identifiers by numbers, the same one for the same name.

    Parameters
    ----------
    secret : bytes, optional
        Orders the names before they are numbered, so that the numbers say nothing about the
        names; drawn anew by default, and kept nowhere.

    Examples
    --------
    >>> import pandas as pd
    >>> Redactor(b"key").rename(pd.Series(["acc_7", "acc_3", "acc_7"]), "account").nunique()
    2
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def rename(self, values: pd.Series[Any], kind: str) -> pd.Series[Any]:
        """Return a name such as ``account 12`` for each value."""
        fresh = {str(v) for v in values if (kind, str(v)) not in self._names}
        for value in sorted(fresh, key=lambda v: self._digest(kind, v)):
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[kind, value] = f"{kind.replace('_', ' ')} {self._counts[kind]}"
        return values.map(lambda value: self._names[kind, str(value)])

    def _digest(self, kind: str, value: str) -> bytes:
        text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._secret[:64]).digest()

    def redact_facts(self, facts: ClusterFacts) -> ClusterFacts:
        """Return a cluster's facts without names, and with days for moments.

        Parameters
        ----------
        facts : ClusterFacts

        Returns
        -------
        ClusterFacts
            Accounts and identifiers renamed; times cut to days; countries left out.
        """
        identifiers = facts.identifiers.assign(
            value=self._rename_values(facts.identifiers), **_cut_times(facts.identifiers)
        )
        members = facts.members.drop(columns=["country"], errors="ignore")
        members = members.assign(
            account_id=self.rename(members["account_id"], "account"), **_cut_times(members)
        )
        return replace(
            facts,
            cluster=_cut_row(facts.cluster),
            members=members,
            identifiers=identifiers,
        )

    def redact_nodes(self, nodes: pd.DataFrame) -> pd.DataFrame:
        """Return a graph's nodes with labels renamed; ids stay, and must not be written."""
        labels = [
            self.rename(pd.Series([label]), kind).iloc[0]
            for label, kind in zip(nodes["label"], nodes["kind"], strict=True)
        ]
        return nodes.assign(label=labels)

    def _rename_values(self, table: pd.DataFrame) -> pd.Series[Any]:
        parts = [self.rename(rows["value"], str(kind)) for kind, rows in table.groupby("kind")]
        return pd.concat(parts).reindex(table.index) if parts else table["value"]


def _cut_times(table: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    names = [name for name in table if isinstance(table[name].dtype, pd.DatetimeTZDtype)]
    return {str(name): table[name].dt.floor("D") for name in names}


def _cut_row(row: pd.Series[Any]) -> pd.Series[Any]:
    cut = row.copy()
    for name in ("first_seen", "last_seen"):
        if pd.notna(cut[name]):
            cut[name] = cut[name].floor("D")
    return cut
