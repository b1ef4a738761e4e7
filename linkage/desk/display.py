"""How results look in a notebook: a few lines of HTML, no script, nothing loaded."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.desk import words
from linkage.desk.palette import TIER_COLOURS, TIER_WORDS
from linkage.export.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from linkage.desk.facts import CaseTables

__all__ = ["show_case", "show_explanation"]

MAX_ROWS: Final = 12
MAX_CHARS: Final = 90
# Inherits the notebook's own colours, so that it fits light and dark themes.
_STYLE: Final = (
    "<style>.linkage-box{font:14px/1.5 system-ui,sans-serif;max-width:60rem}"
    ".linkage-box table{border-collapse:collapse;margin:.5em 0;font-size:13px}"
    ".linkage-box th{text-align:left;font-weight:600;opacity:.75;padding:2px 9px;"
    "border-bottom:1px solid #8888}"
    ".linkage-box td{text-align:left;padding:2px 9px;border-bottom:1px solid #8883}"
    ".linkage-box .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".linkage-box .t{white-space:nowrap}"
    ".linkage-box .v{font-family:ui-monospace,monospace;font-size:12px;overflow-wrap:anywhere;"
    "unicode-bidi:isolate}"
    ".linkage-box .soft{opacity:.75}.linkage-box svg{vertical-align:middle}</style>"
)


def show_case(case: CaseTables) -> str:
    """Show what a run found: counts by tier, then the riskiest clusters.

    Parameters
    ----------
    case : Result, or anything with its tables

    Returns
    -------
    str
        HTML.
    """
    counts = case.manifest.get("counts", {})
    n_clusters = len(case.clusters)
    lead = (
        f"<b>{n_clusters:,} clusters of {len(case.members):,} accounts</b>, among "
        f"{counts.get('accounts', 0):,}"
    )
    refused = f"; {len(case.rejected):,} refusals" if len(case.rejected) else ""
    parts = [f"<p>{lead}{refused}.</p>", _show_tiers(case.clusters)]
    if n_clusters:
        parts += [_show_clusters(case.clusters), _say_more(case.clusters)]
    return f'{_STYLE}<div class="linkage-box">{"".join(parts)}</div>'


def _show_tiers(clusters: pd.DataFrame) -> str:
    sums = clusters.groupby("tier")["n_accounts"].agg(["size", "sum"])
    items = [
        f'<span style="color:{TIER_COLOURS[tier]}">&#9679;</span> '
        f"<b>{int(sums['sum'].get(tier, 0)):,}</b> accounts in {int(sums['size'].get(tier, 0)):,} "
        f"clusters: {escape(meaning)}"
        for tier, meaning in TIER_WORDS.items()
    ]
    return f"<p>{'<br>'.join(items)}</p>"


def _show_clusters(clusters: pd.DataFrame) -> str:
    shown = clusters.head(MAX_ROWS)
    largest = max(int(clusters["n_accounts"].max()), 1)
    rows = [_show_cluster(row, largest) for row in shown.to_dict("records")]
    head = (
        '<tr><th class="n">cluster</th><th>tier</th><th class="n">accounts</th><th></th>'
        '<th class="n">confidence</th><th class="n">risk</th><th>tied by</th>'
        "<th>innocent explanation</th></tr>"
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _show_cluster(row: Mapping[Hashable, Any], largest: int) -> str:
    colour = TIER_COLOURS.get(row["tier"], "#888")
    cells = (
        f'<td class="n">{row["cluster_id"]}</td>',
        f'<td class="t"><span style="color:{colour}">&#9679;</span> {_text(row["tier"])}</td>',
        f'<td class="n">{row["n_accounts"]:,}</td>',
        f"<td>{_bar(float(np.sqrt(row['n_accounts'] / largest)), colour)}</td>",
        f'<td class="n">{row["confidence"]:.2f}</td><td class="n">{row["risk"]:.2f}</td>',
        f"<td>{_text(words.name_families(str(row['families']), short=True))}</td>",
        f"<td>{_text(row.get('explanation') or 'none found')}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _say_more(clusters: pd.DataFrame) -> str:
    more = len(clusters) - MAX_ROWS
    first = int(clusters["cluster_id"].iloc[0])
    rest = f"{more:,} more in <code>.clusters</code>. " if more > 0 else ""
    return (
        f'<p class="soft">{rest}Next: <code>.explain({first})</code>, '
        f"<code>.plot({first})</code>, <code>.charts({first})</code>.</p>"
    )


def show_explanation(title: str, sentences: tuple[str, ...], table: pd.DataFrame) -> str:
    """Show an explanation: its sentences, then its table with a bar for the bits.

    Parameters
    ----------
    title : str
    sentences : tuple of str
    table : pandas.DataFrame

    Returns
    -------
    str
        HTML.
    """
    said = "".join(f"<li>{_text(sentence, limit=400)}</li>" for sentence in sentences)
    parts = [f"<p><b>{_text(title)}</b></p><ul>{said}</ul>"]
    if len(table):
        parts.append(_show_table(table.head(MAX_ROWS), float(table["bits"].abs().max() or 1.0)))
    if len(table) > MAX_ROWS:
        parts.append(f'<p class="soft">{len(table) - MAX_ROWS:,} more in <code>.table</code>.</p>')
    return f'{_STYLE}<div class="linkage-box">{"".join(parts)}</div>'


def _show_table(table: pd.DataFrame, most: float) -> str:
    names = [str(name) for name in table.columns]
    is_number = [pd.api.types.is_numeric_dtype(table[name]) for name in names]
    head = "".join(
        f"<th{' class=n' if number else ''}>{_text(name.replace('_', ' '))}</th>"
        for name, number in zip(names, is_number, strict=True)
    )
    rows = [
        "".join(_cell(name, value, most) for name, value in zip(names, row, strict=True))
        for row in table.itertuples(index=False)
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, value: Any, most: float) -> str:
    if name == "bits":
        return f'<td class="n">{_bar(max(value, 0) / most, "#0072b2", 60)} {value:.1f}</td>'
    if name == "share":
        return f'<td class="n">{words.spell_share(float(value))}</td>'
    if isinstance(value, (int, float, np.number)):
        return f'<td class="n">{value:,}</td>'
    return f"<td{' class=v' if name == 'value' else ''}>{_text(value)}</td>"


def _bar(share: float, colour: str, width: int = 80) -> str:
    return (
        f'<svg width="{width}" height="9"><rect width="{max(share, 0) * width:.1f}" height="9" '
        f'rx="2" fill="{colour}"/></svg>'
    )


def _text(value: Any, limit: int = MAX_CHARS) -> str:
    """Make a text from outside printable, short and harmless."""
    texts = np.array([str(value)], dtype=object)
    return escape(clean_text(texts, limit, one_line=True)[0][0].as_py())
