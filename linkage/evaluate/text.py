"""An evaluation as tables that a person reads."""

import math
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Final, Protocol

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from linkage.evaluate.calibration import Calibration
from linkage.evaluate.measures import Counts, Discovery, Score

__all__ = ["print_evaluation", "render", "render_text"]

WORST: Final = 10  # operators shown, those of three or more accounts with the lowest F1
WIDTH: Final = 100


class Printable(Protocol):
    """What of an evaluation is printed."""

    @property
    def scores(self) -> Iterable[Score]: ...

    @property
    def counts(self) -> Counts: ...

    @property
    def confidence(self) -> Calibration | None: ...

    @property
    def membership(self) -> Calibration | None: ...

    @property
    def discoveries(self) -> tuple[Discovery, ...]: ...

    @property
    def roles(self) -> pd.DataFrame: ...

    @property
    def tiers(self) -> pd.DataFrame: ...

    @property
    def operators(self) -> pd.DataFrame: ...

    @property
    def settings(self) -> Mapping[str, int | float]: ...


def render_text(evaluation: Printable) -> str:
    """Return the tables of an evaluation as plain text, 100 columns wide."""
    out = StringIO()
    Console(file=out, width=WIDTH, color_system=None).print(render(evaluation))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def render(evaluation: Printable, *, explain: bool = True) -> Group:
    """Lay an evaluation out as rich tables.

    Parameters
    ----------
    evaluation : Printable
    explain : bool, default True
        Whether to say of each score what it is, for which 100 columns are needed.

    Returns
    -------
    rich.console.Group
    """
    return Group(*_list_parts(evaluation, explain=explain))


def print_evaluation(evaluation: Printable) -> None:
    """Print an evaluation; a terminal that is too narrow does without the explanations."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(render(evaluation, explain=console.width >= WIDTH))


def _list_parts(evaluation: Printable, *, explain: bool) -> Iterable[RenderableType]:
    yield Text(_summarise(evaluation))
    for number, (population, scores) in enumerate(_group_scores(evaluation.scores).items()):
        yield _head(f"Over {population}")
        table = _draw_scores(scores, evaluation.settings["level"], explain=explain)
        table.show_header = number == 0
        yield table
    if len(evaluation.tiers):
        yield _head("Clusters by tier: whose they are, and who is in them")
        yield _draw_tiers(evaluation.tiers)
    if len(evaluation.roles):
        yield _head("Innocent accounts by role")
        yield _draw_frame(evaluation.roles)
    if evaluation.discoveries:
        yield _head("False discoveries: clusters with q_value <= q that are not one operator")
        yield _draw_discoveries(evaluation.discoveries)
    for what, calibration in (
        ("Confidence that a cluster is one operator", evaluation.confidence),
        ("Probability of membership", evaluation.membership),
    ):
        if calibration is not None:
            yield _head(f"{what}: error {calibration.ece:.4f}, Brier {calibration.brier:.4f}")
            yield _draw_calibration(calibration)
    worst = _find_worst(evaluation.operators)
    if len(worst):
        yield _head("Operators found worst, of three or more accounts")
        yield _draw_frame(worst)


def _summarise(evaluation: Printable) -> str:
    counts = evaluation.counts
    return (
        f"{counts.n_labelled:,} labelled accounts: {counts.n_operator_accounts:,} run by "
        f"{counts.n_operators:,} operators, {counts.n_innocents:,} innocent. "
        f"{counts.n_clusters:,} clusters hold {counts.n_clustered:,} of them"
        f" and {counts.n_clustered_unlabelled:,} accounts without a label, which are left out"
        f" ({counts.n_clusters_unjudged:,} clusters have fewer than two labelled members).\n"
        f"Strangers, in a cluster of three or more whose majority is not theirs: "
        f"{counts.n_strangers:,} innocent and {counts.n_operator_strangers:,} operator accounts. "
        f"Innocents in the tier operator: {counts.n_innocents_in_operator_tier:,}."
    )


def _group_scores(scores: Iterable[Score]) -> dict[str, list[Score]]:
    groups: dict[str, list[Score]] = {}
    for score in scores:
        if score.value is not None:
            by_size = score.population.startswith("operators of")
            name = "operators, by the number of their accounts" if by_size else score.population
            groups.setdefault(name, []).append(score)
    return groups


def _head(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _make_table() -> Table:
    return Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)


def _draw_scores(scores: Iterable[Score], level: float, *, explain: bool) -> Table:
    table = _make_table()
    table.add_column("score", no_wrap=True, min_width=27)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column(f"{100 * level:g} % interval", no_wrap=True, min_width=17)
    table.add_column("units", justify="right", no_wrap=True, min_width=9)
    if explain:
        table.add_column("what it is")
    for score in scores:
        interval = "" if score.low is None else f"{score.low:.4f} to {score.high:.4f}"
        value = f"{score.value:.4f}"
        meaning = (score.meaning,) if explain else ()
        table.add_row(score.name, value, interval, f"{score.n_units:,}", *meaning)
    return table


def _draw_tiers(tiers: pd.DataFrame) -> Table:
    table = _make_table()
    table.add_column("")
    for tier in tiers["tier"]:
        table.add_column(str(tier), justify="right")
    for column in tiers.columns.drop("tier"):
        table.add_row(_name_column(column), *(f"{count:,}" for count in tiers[column]))
    return table


def _draw_frame(frame: pd.DataFrame) -> Table:
    table = _make_table()
    for column in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        table.add_column(_name_column(str(column)), justify="right" if numeric else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(_format(value) for value in row))
    return table


def _name_column(column: str) -> str:
    return column.removeprefix("n_").replace("_", " ")


def _format(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _draw_discoveries(discoveries: Iterable[Discovery]) -> Table:
    table = _make_table()
    for column in ("nominal q", "clusters", "not one operator", "of nobody", "realised"):
        table.add_column(column, justify="right")
    table.add_column("95 % interval")
    for row in discoveries:
        realised = "" if row.proportion is None else f"{row.proportion:.3f}"
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        counts = (f"{n:,}" for n in (row.n_clusters, row.n_false, row.n_unlinked))
        table.add_row(f"{row.q:g}", *counts, realised, interval)
    return table


def _draw_calibration(calibration: Calibration) -> Table:
    table = _make_table()
    for column in ("range", "n", "said", "came true"):
        table.add_column(column, justify="right")
    table.add_column("95 % interval")
    for row in calibration.bins:
        table.add_row(
            f"{row.lower:.2f} to {row.upper:.2f}",
            f"{row.n:,}",
            f"{row.mean_predicted:.3f}",
            f"{row.observed:.3f}",
            f"{row.low:.3f} to {row.high:.3f}",
        )
    return table


def _find_worst(operators: pd.DataFrame) -> pd.DataFrame:
    large = operators[operators["n_accounts"] >= 3]
    return large.sort_values(["f1", "n_accounts", "operator_id"], ascending=[True, False, True])[
        :WORST
    ]
