"""STIX 2.1: clusters as intrusion sets, with their accounts and infrastructure.

Written as plain JSON after the OASIS standard (STIX Version 2.1, 2021); nothing else is needed to
write it. Identifiers are derived from content, so that the same case gives the same bundle, and two
bundles that name one address agree on its id.
"""

from __future__ import annotations

import ipaddress
import json
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from linkage._version import __version__
from linkage.errors import InputError
from linkage.export.files import write_json

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

__all__ = ["TLP", "build_stix", "write_stix"]

TLP = Literal["white", "green", "amber", "red"]

# Section 2.9 of the standard: the namespace of deterministic ids of cyber-observable objects.
_SCO_NAMESPACE: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:linkage:stix")
# Section 7.2.1.4: the four TLP markings, fixed by the standard.
_TLP_IDS: Final = {
    "white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}
_TLP_CREATED: Final = "2017-01-20T00:00:00.000Z"
_EPOCH: Final = pd.Timestamp("1970-01-01", tz="UTC")


def build_stix(
    clusters: pd.DataFrame, indicators: pd.DataFrame, *, tlp: TLP = "amber"
) -> dict[str, Any]:
    """Build a bundle.

    Parameters
    ----------
    clusters : pandas.DataFrame
        A result's clusters.
    indicators : pandas.DataFrame
        As `list_indicators` returns them.
    tlp : {'white', 'green', 'amber', 'red'}
        With whom it may be shared; marks every object.

    Returns
    -------
    dict
        A bundle: for each cluster an intrusion-set with its confidence (0 to 100), user-accounts,
        an infrastructure of addresses and domains, the relationships between them, and a grouping
        of all. Identifiers that STIX has no object for stand in a note.

    Raises
    ------
    InputError
        If the marking is unknown.
    """
    if tlp not in _TLP_IDS:
        raise InputError(f"tlp must be one of {sorted(_TLP_IDS)}, got {tlp!r}")
    wanted = clusters[clusters["cluster_id"].isin(indicators["cluster_id"])]
    stamps = {int(row["cluster_id"]): _last_moment(row) for row in wanted.to_dict("records")}
    first = min(stamps.values(), default=_spell(_EPOCH))
    author = {
        "type": "identity",
        **_versioned("identity", "linkage", first, None, tlp),
        "name": f"linkage {__version__}",
        "identity_class": "system",
    }
    objects = [_marking(tlp), author]
    for row in wanted.to_dict("records"):
        own = indicators[indicators["cluster_id"] == row["cluster_id"]]
        made = stamps[int(row["cluster_id"])]
        objects += _build_cluster(row, own, made, author["id"], tlp)
    distinct = {entry["id"]: entry for entry in objects}
    listed = [distinct[name] for name in distinct]
    text = json.dumps(listed, sort_keys=True)
    return {"type": "bundle", "id": f"bundle--{uuid.uuid5(_NAMESPACE, text)}", "objects": listed}


def write_stix(
    clusters: pd.DataFrame,
    indicators: pd.DataFrame,
    path: str | PathLike[str],
    *,
    tlp: TLP = "amber",
) -> Path:
    """Write a bundle as a JSON file.

    Parameters
    ----------
    clusters, indicators, tlp
        As for `build_stix`.
    path : path

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the marking is unknown or the file cannot be written.
    """
    bundle = build_stix(clusters, indicators, tlp=tlp)
    return write_json(bundle, path)


def _build_cluster(
    row: dict[Any, Any], own: pd.DataFrame, made: str, author: str, tlp: str
) -> list[dict[str, Any]]:
    """Return one cluster's objects."""
    digest = _digest(row, own)
    actor = {
        "type": "intrusion-set",
        **_versioned("intrusion-set", digest, made, author, tlp),
        "name": f"linkage cluster {row['cluster_id']} ({digest[:8]})",
        "description": (
            f"{row['n_accounts']} accounts, tier {row['tier']}, tied by {row['families']}. "
            "Confidence rests on stated beliefs; linked is not abusive."
        ),
        "confidence": round(100 * float(row["confidence"])),
        **_span(row),
    }
    observables, unsaid = [], []
    for kind, value in zip(own["kind"], own["value"], strict=True):
        observable = _observe(str(kind), str(value), tlp)
        if observable is None:
            unsaid.append(f"{kind} {value}")
        else:
            observables.append(observable)
    accounts = [entry for entry in observables if entry["type"] == "user-account"]
    places = [entry for entry in observables if entry["type"] in _PLACES]
    objects = [actor, *observables]
    if places:
        objects += _build_infrastructure(actor, places, digest, made, author, tlp)
    if unsaid:
        objects.append(
            {
                "type": "note",
                **_versioned("note", digest, made, author, tlp),
                "abstract": "Identifiers without a STIX object",
                "content": "\n".join(unsaid),
                "object_refs": [actor["id"]],
            }
        )
    grouping = {
        "type": "grouping",
        **_versioned("grouping", digest, made, author, tlp),
        "name": f"{actor['name']}: {len(accounts)} accounts",
        "context": "suspicious-activity",
        "object_refs": [entry["id"] for entry in objects],
    }
    return [*objects, grouping]


def _build_infrastructure(
    actor: dict[str, Any],
    places: list[dict[str, Any]],
    digest: str,
    made: str,
    author: str,
    tlp: str,
) -> list[dict[str, Any]]:
    infrastructure = {
        "type": "infrastructure",
        **_versioned("infrastructure", digest, made, author, tlp),
        "name": f"{actor['name']}: addresses and domains",
    }
    links = [("uses", actor["id"], infrastructure["id"])]
    links += [("consists-of", infrastructure["id"], place["id"]) for place in places]
    relations = [
        {
            "type": "relationship",
            **_versioned("relationship", "|".join(link), made, author, tlp),
            "relationship_type": link[0],
            "source_ref": link[1],
            "target_ref": link[2],
        }
        for link in links
    ]
    return [infrastructure, *relations]


_PLACES: Final = frozenset({"ipv4-addr", "ipv6-addr", "domain-name"})


def _observe(kind: str, value: str, tlp: str) -> dict[str, Any] | None:
    """Return the cyber-observable object of an identifier, or None where STIX has none."""
    if kind == "account":
        return _make_observable("user-account", {"user_id": value}, tlp)
    if kind == "ip":
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return None
        return _make_observable(f"ipv{network.version}-addr", {"value": value}, tlp)
    if kind == "email_domain":
        return _make_observable("domain-name", {"value": value}, tlp)
    if kind == "email":
        return _make_observable("email-addr", {"value": value}, tlp)
    return None


def _make_observable(kind: str, properties: dict[str, str], tlp: str) -> dict[str, Any]:
    text = json.dumps(properties, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.uuid5(_SCO_NAMESPACE, text)}",
        "object_marking_refs": [_TLP_IDS[tlp]],
        **properties,
    }


def _versioned(kind: str, key: str, made: str, author: str | None, tlp: str) -> dict[str, Any]:
    common: dict[str, Any] = {
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.uuid5(_NAMESPACE, f'{kind}|{key}')}",
        "created": made,
        "modified": made,
        "object_marking_refs": [_TLP_IDS[tlp]],
    }
    return common if author is None else {**common, "created_by_ref": author}


def _marking(tlp: str) -> dict[str, Any]:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": _TLP_IDS[tlp],
        "created": _TLP_CREATED,
        "definition_type": "tlp",
        "name": f"TLP:{tlp.upper()}",
        "definition": {"tlp": tlp},
    }


def _digest(row: dict[Any, Any], own: pd.DataFrame) -> str:
    accounts = sorted(own.loc[own["type"] == "account", "value"])
    return uuid.uuid5(_NAMESPACE, json.dumps([int(row["cluster_id"]), *accounts])).hex


def _span(row: dict[Any, Any]) -> dict[str, str]:
    names = ("first_seen", "last_seen")
    return {name: _spell(row[name]) for name in names if pd.notna(row[name])}


def _last_moment(row: dict[Any, Any]) -> str:
    """Return when a cluster was last seen: the time of making, without asking the clock."""
    return _spell(row["last_seen"] if pd.notna(row["last_seen"]) else _EPOCH)


def _spell(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
