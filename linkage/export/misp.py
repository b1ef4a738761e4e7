"""MISP: one event with a cluster's accounts and identifiers, as the MISP core format has it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from linkage.export.files import write_json

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

__all__ = ["build_misp", "write_misp"]

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:linkage:misp")
# A kind of identifier: MISP's attribute type and category. Others are written as text.
_ATTRIBUTES: Final = {
    "ip": ("ip-src", "Network activity"),
    "email_domain": ("domain", "Network activity"),
    "email": ("email-src", "Payload delivery"),
    "user_agent": ("user-agent", "Network activity"),
    "phone": ("phone-number", "Person"),
}
_BLOCKABLE: Final = frozenset({"ip", "email_domain", "email"})
# MISP's public object template for accounts.
_ACCOUNT_TEMPLATE: Final = {
    "name": "user-account",
    "meta-category": "misc",
    "template_uuid": "49606b06-22f0-4ac8-8eee-2f12ad46f3d3",
    "template_version": "6",
}


def build_misp(
    clusters: pd.DataFrame, indicators: pd.DataFrame, *, tlp: str = "amber"
) -> dict[str, Any]:
    """Build an event.

    Parameters
    ----------
    clusters : pandas.DataFrame
        A result's clusters.
    indicators : pandas.DataFrame
        As `list_indicators` returns them.
    tlp : str
        Traffic light: the event's tag.

    Returns
    -------
    dict
        An unpublished event for the own organisation only: accounts as objects, identifiers as
        attributes, ``to_ids`` for those that can be blocked. Ids are derived from content.
    """
    wanted = clusters[clusters["cluster_id"].isin(indicators["cluster_id"])]
    seen = wanted["last_seen"].dropna().max()
    stamp = pd.Timestamp("1970-01-01", tz="UTC") if pd.isna(seen) else seen
    names = ", ".join(str(name) for name in wanted["cluster_id"].head(20))
    rows = indicators.to_dict("records")
    key = json.dumps([[row["cluster_id"], row["kind"], row["value"]] for row in rows])
    event_id = str(uuid.uuid5(_NAMESPACE, key))
    second = str(int(stamp.timestamp()))
    return {
        "Event": {
            "uuid": event_id,
            "info": f"linkage: clusters {names} ({int(wanted['n_accounts'].sum())} accounts)",
            "date": f"{stamp:%Y-%m-%d}",
            "timestamp": second,
            "threat_level_id": "4",  # undefined: linkage does not judge harm
            "analysis": "1",  # ongoing
            "distribution": "0",  # this organisation only
            "published": False,
            "Tag": [{"name": f"tlp:{tlp}"}],
            "Attribute": [
                _make_attribute(row, event_id, second) for row in rows if row["kind"] != "account"
            ],
            "Object": [
                _make_account(row, event_id, second) for row in rows if row["kind"] == "account"
            ],
        }
    }


def write_misp(
    clusters: pd.DataFrame,
    indicators: pd.DataFrame,
    path: str | PathLike[str],
    *,
    tlp: str = "amber",
) -> Path:
    """Write an event as a JSON file that MISP imports.

    Parameters
    ----------
    clusters, indicators, tlp
        As for `build_misp`.
    path : path

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    event = build_misp(clusters, indicators, tlp=tlp)
    return write_json(event, path)


def _make_attribute(row: dict[Any, Any], event_id: str, second: str) -> dict[str, Any]:
    kind, value = str(row["kind"]), str(row["value"])
    name, category = _ATTRIBUTES.get(kind, ("text", "Other"))
    return {
        "uuid": _derive(event_id, row),
        "type": name,
        "category": category,
        "value": value,
        "to_ids": kind in _BLOCKABLE,
        "timestamp": second,
        "distribution": "5",  # as the event
        "comment": (
            f"{kind}; cluster {row['cluster_id']}: {row['n_inside']} accounts of it hold this, "
            f"{row['n_outside']} others"
        ),
    }


def _make_account(row: dict[Any, Any], event_id: str, second: str) -> dict[str, Any]:
    own = _derive(event_id, row)
    return {
        "uuid": own,
        **_ACCOUNT_TEMPLATE,
        "timestamp": second,
        "distribution": "5",
        "comment": f"cluster {row['cluster_id']}: membership {row['confidence']:.3f}",
        "Attribute": [
            {
                "uuid": str(uuid.uuid5(uuid.UUID(own), "user-id")),
                "type": "text",
                "category": "Other",
                "object_relation": "user-id",
                "value": str(row["value"]),
                "to_ids": False,
                "timestamp": second,
                "distribution": "5",
            }
        ],
    }


def _derive(event_id: str, row: dict[Any, Any]) -> str:
    key = json.dumps([row["cluster_id"], row["kind"], row["value"]])
    return str(uuid.uuid5(uuid.UUID(event_id), key))
