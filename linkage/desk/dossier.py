"""The dossier: one self-contained HTML page about a cluster, or about all of them.

The pages hold no script and load nothing. Their content-security policy names the digest of the one
style sheet and forbids all else; every text from outside goes through the template's escaping and
through `linkage.export.text`, so that it can neither run, nor reorder the line, nor fill the page.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage._version import __version__
from linkage.desk import drawing, words
from linkage.desk.backbone import pick_backbone
from linkage.desk.background import Background
from linkage.desk.extras import import_extra
from linkage.desk.facts import gather_facts
from linkage.desk.palette import TIER_COLOURS, TIER_WORDS
from linkage.desk.purposes import load_purposes, tally_purposes
from linkage.desk.redact import Redactor
from linkage.export.files import replace_files
from linkage.export.text import clean_text
from linkage.frames import to_records
from linkage.prompts import spell_templates

if TYPE_CHECKING:
    from os import PathLike

    from linkage.desk.facts import CaseTables, ClusterFacts
    from linkage.desk.purposes import Purpose

__all__ = ["DossierSettings", "render_dossier", "render_overview", "write_page"]

MAX_VALUE: Final = 140  # characters of an identifier that are shown
PUBLIC_KINDS: Final = "prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierSettings:
    """How much a dossier shows, and to whom."""

    redact: bool = False  # for outside readers: no account, no identifier, no text, no moment
    max_identifiers: int = 60  # rows of the table of evidence
    max_members: int = 1000  # rows of the list of accounts
    max_clusters: int = 500  # rows of the overview
    purposes: tuple[Purpose, ...] | None = None  # None: the shipped rules


def render_dossier(
    case: CaseTables,
    cluster_id: int,
    *,
    background: Background | None = None,
    settings: DossierSettings | None = None,
) -> str:
    """Write the page about one cluster.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    background : Background, optional
        The accounts table (sign-ups, bans), and templates in place of the case's own.
    settings : DossierSettings, optional

    Returns
    -------
    str
        HTML in one piece: no script, nothing loaded from elsewhere.

    Raises
    ------
    UnknownIdError
        If the case has no such cluster.
    InputError
        If jinja2 is not installed.
    """
    options = settings or DossierSettings()
    beside = background or Background()
    facts = gather_facts(case, cluster_id, beside)
    nodes, edges = pick_backbone(case, facts)
    purposes = _find_purposes(case, cluster_id, beside, options)
    reads = spell_templates(
        facts.identifiers, case.templates if beside.templates is None else beside.templates
    )
    facts = replace(facts, identifiers=facts.identifiers.assign(reads=reads))
    if options.redact:
        redactor = Redactor()
        facts = redactor.redact_facts(facts)
        facts = replace(facts, identifiers=facts.identifiers.assign(reads=""))
        nodes = redactor.redact_nodes(nodes)
        if purposes is not None:
            purposes = purposes.assign(example="")
    facts, nodes = _clean_facts(facts), _clean_columns(nodes, ["label", "kind", "family"])
    edges = _clean_columns(edges, ["family"])
    return _render(
        "dossier.html",
        facts=facts,
        cluster=facts.cluster,
        conclusion=words.say_conclusion(facts.cluster),
        summary=words.say_summary(facts),
        next_steps=words.say_next(facts),
        changes=words.say_change(facts),
        explanation_words=words.EXPLANATION_WORDS,
        families=drawing.draw_families(facts),
        graph=drawing.draw_graph(nodes, edges),
        n_backbone=int((nodes["type"] == "account").sum()),
        days=drawing.draw_days(facts),
        splits=drawing.draw_splits(facts),
        identifiers=to_records(facts.identifiers.head(options.max_identifiers)),
        members=to_records(facts.members.head(options.max_members)),
        purposes=None if purposes is None else to_records(_clean_columns(purposes, ["example"])),
        has_templates=purposes is not None,
        **_describe_run(case, redact=options.redact),
    )


def render_overview(case: CaseTables, *, settings: DossierSettings | None = None) -> str:
    """Write the page about all clusters.

    Parameters
    ----------
    case : Result, or anything with its tables
    settings : DossierSettings, optional

    Returns
    -------
    str
        HTML in one piece.

    Raises
    ------
    InputError
        If jinja2 is not installed.
    """
    options = settings or DossierSettings()
    clusters = case.clusters.head(options.max_clusters)
    clusters = _clean_columns(clusters, ["tier", "families", "explanation"])
    clusters = clusters.assign(
        conclusion=[words.name_families(str(row), short=True) for row in clusters["families"]]
    )
    sizes = np.sqrt(clusters["n_accounts"] / max(int(clusters["n_accounts"].max() or 1), 1))
    tiers = case.clusters.groupby("tier")["n_accounts"].agg(["size", "sum"])
    return _render(
        "overview.html",
        clusters=to_records(clusters.assign(width=(sizes * 90).round(1))),
        n_clusters=len(case.clusters),
        n_members=len(case.members),
        tiers=[
            {"tier": tier, "words": TIER_WORDS[tier], "clusters": int(tiers["size"].get(tier, 0)),
             "accounts": int(tiers["sum"].get(tier, 0))}
            for tier in TIER_WORDS
        ],
        dots=_draw_dots(clusters),
        **_describe_run(case, redact=options.redact),
    )  # fmt: skip


def write_page(html: str, path: str | PathLike[str]) -> Path:
    """Write a page in one step: whole, or not at all.

    Parameters
    ----------
    html : str
    path : path

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    with replace_files(target) as (handle,):
        handle.write(html.encode("utf-8"))
    return target


def _find_purposes(
    case: CaseTables, cluster_id: int, beside: Background, options: DossierSettings
) -> pd.DataFrame | None:
    """Return what the cluster's own templates aim at; public templates tell nothing of it."""
    templates = case.templates if beside.templates is None else beside.templates
    if beside.templates is None and templates.empty:
        return None
    own = templates[~templates["public"].astype(bool)]
    members = case.members[case.members["cluster_id"] == cluster_id]
    seen = case.observations[case.observations["account_id"].isin(members["account_id"])]
    held = seen.loc[seen["kind"] == PUBLIC_KINDS, ["account_id", "value"]]
    rules = load_purposes() if options.purposes is None else options.purposes
    return tally_purposes(held, own, rules, len(members))


def _clean_facts(facts: ClusterFacts) -> ClusterFacts:
    cluster = facts.cluster.copy()
    for name in ("tier", "families", "explanation"):
        if name in cluster:
            cluster[name] = _clean(pd.Series([str(cluster[name] or "")])).iloc[0]
    return replace(
        facts,
        cluster=cluster,
        identifiers=_clean_columns(facts.identifiers, ["family", "kind", "value", "reads"]),
        members=_clean_columns(facts.members, ["account_id", "status", "country"]),
        families=_clean_columns(facts.families, ["family"]),
        without=_clean_columns(facts.without, ["family"]),
    )


def _clean_columns(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return table.assign(**{name: _clean(table[name]) for name in names if name in table})


def _clean(values: pd.Series[Any]) -> pd.Series[Any]:
    """Make texts printable and short; what is missing becomes an empty text."""
    codes, distinct = pd.factorize(values.astype(object).where(values.notna(), ""))
    texts = np.array([str(value) for value in distinct], dtype=object)
    safe = clean_text(texts, MAX_VALUE, one_line=True)[0].to_numpy(zero_copy_only=False)
    return pd.Series(np.asarray(safe, dtype=object)[codes], index=values.index, dtype=object)


def _describe_run(case: CaseTables, *, redact: bool) -> dict[str, Any]:
    manifest = case.manifest
    inputs = [
        {
            "table": entry.get("table"),
            "name": "" if redact else Path(str(entry.get("source", ""))).name,
            "rows": entry.get("rows"),
            "refused": entry.get("refused_rows"),
            "sha256": entry.get("sha256"),
        }
        for entry in manifest.get("inputs", [])
    ]
    return {
        "redacted": redact,
        "counts": manifest.get("counts", {}),
        "inputs": inputs,
        "method": sorted(manifest.get("config", {}).get("method", {}).items()),
        "libraries": sorted(manifest.get("libraries", {}).items()),
        "made_with": manifest.get("linkage"),
        "python": manifest.get("python"),
        "seed": manifest.get("seed"),
        "version": __version__,
        "limits": words.LIMITS,
        "glossary": words.GLOSSARY,
        "tier_words": TIER_WORDS,
        "tier_colours": TIER_COLOURS,
    }


def _draw_dots(clusters: pd.DataFrame) -> dict[str, Any]:
    """Return the clusters as dots: accounts to the right (by powers of ten), confidence up."""
    n = clusters["n_accounts"].astype(float).clip(lower=1)
    top = max(float(np.ceil(np.log10(n.max()))) if len(n) else 1.0, 1.0)
    x = 50 + 640 * np.log10(n) / top
    y = 190 - 160 * clusters["confidence"].astype(float).clip(0, 1)
    rows = zip(x.round(1), y.round(1), clusters["tier"], clusters["cluster_id"], n, strict=True)
    return {
        "dots": [
            {"x": px, "y": py, "tier": tier, "cluster_id": cid, "n": int(count)}
            for px, py, tier, cid, count in rows
        ],
        "ticks": [(50 + 640 * k / top, f"{10**k:,}") for k in range(int(top) + 1)],
    }


def _render(name: str, **context: Any) -> str:
    jinja2 = import_extra("jinja2", "report")
    folder = files("linkage.desk").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: folder.joinpath(name).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = words.spell_share
    environment.filters["number"] = lambda value: "" if value is None else f"{value:,}"
    environment.filters["moment"] = _spell_moment
    environment.filters["short"] = lambda name: words.SHORT_FAMILY_WORDS.get(name, name)
    environment.filters["family"] = lambda name: words.FAMILY_WORDS.get(name, name)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page: str = environment.get_template(name).render(style=style, style_digest=digest, **context)
    return page


def _spell_moment(value: Any) -> str:
    if value is None or pd.isna(value):
        return "not dated"
    stamp = pd.Timestamp(value)
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.floor("D") else f"{stamp:%Y-%m-%d %H:%M}"
