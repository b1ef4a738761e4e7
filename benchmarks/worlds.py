"""The worlds on which methods are compared: simulated ones, and real sets with a known truth."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

import linkage
from linkage.config import Config
from linkage.evaluate import read_truth
from linkage.fingerprints import templates
from linkage.identifiers import canonicalise
from linkage.result import Result
from linkage.schema import INPUTS
from linkage.simulate import World as SimulatedWorld
from linkage.simulate import simulate

__all__ = ["DATA", "World", "list_real_worlds", "make_observations", "simulate_world"]

DATA: Final = Path(
    os.environ.get("LINKAGE_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
)
REAL: Final = ("er_febrl3", "er_historical50k")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Input tables and the truth about them; or the reason why they are not there."""

    name: str
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)  # as linkage.link takes them
    truth: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: str | None = None  # why the world cannot be used

    @property
    def observations(self) -> pd.DataFrame:
        """Return what the baselines take: account_id, kind, value."""
        return make_observations(self.tables)

    def link(self, config: Config | None = None) -> Result:
        """Run linkage on the tables, with its defaults unless there is a configuration."""
        tables = (self.tables.get(name) for name in INPUTS)
        return linkage.link(*tables, config=config)


def list_real_worlds(data: Path = DATA) -> Iterator[World]:
    """Read the real sets with a truth, or say why one is left out."""
    for name in REAL:
        folder = data / name
        if not folder.is_dir():
            yield World(name=name, missing=f"no folder {name} under LINKAGE_DATA")
            continue
        tables = {"observations": pd.read_parquet(folder / "observations.parquet")}
        yield World(name=name, tables=tables, truth=read_truth(folder / "truth.csv"))


def simulate_world(
    preset: "str | SimulatedWorld", *, name: str, seed: int, evasion: int | None, folder: Path
) -> World:
    """Simulate a world, with the text of every prompt.

    Parameters
    ----------
    preset : str or linkage.simulate.World
        Name of a preset of the simulator, or a world.
    name : str
        What the world is called in the tables.
    seed : int
    evasion : int or None
        0..5; None for what the world says.
    folder : Path
        Where its tables are written.

    Returns
    -------
    World
    """
    made = simulate(folder, world=preset, seed=seed, evasion=evasion, overwrite=True)
    files = {table: folder / f"{table}.parquet" for table in INPUTS}
    tables = {table: pd.read_parquet(path) for table, path in files.items() if path.is_file()}
    return World(name=name, tables=tables, truth=read_truth(made.truth))


def make_observations(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Turn input tables into what the baselines take.

    Values are spelt, and prompts are turned into templates, by linkage's own stages: the baselines
    see what linkage sees.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        Input tables by name.

    Returns
    -------
    pandas.DataFrame
        account_id, kind, value, without repetition.
    """
    parts = []
    for name, frame in tables.items():
        if name == "observations":
            parts.append(frame[["account_id", "kind", "value"]])
            continue
        if "prompt" in frame:
            parts.append(_find_templates(frame))
        for column in INPUTS[name].columns:
            if column.kind is not None and column.name in frame:
                parts.extend(_spell(frame["account_id"], column.kind, frame[column.name]))
    stacked = pd.concat([part.astype(str) for part in parts], ignore_index=True)
    return stacked.drop_duplicates(ignore_index=True)


def _spell(
    accounts: "pd.Series[str]", kind: str, values: "pd.Series[str]"
) -> Iterator[pd.DataFrame]:
    code, distinct = pd.factorize(values)
    spelt = canonicalise(kind, pa.array(distinct, type=pa.string()), Config())
    for found, canonical in spelt.items():
        # Position -1, of what is missing, takes the null at the end.
        texts = np.append(canonical.to_numpy(zero_copy_only=False), np.array([None]))
        value = texts[code]
        yield pd.DataFrame({"account_id": accounts, "kind": found, "value": value}).dropna()


def _find_templates(events: pd.DataFrame) -> pd.DataFrame:
    found = templates(pa.Table.from_pandas(events[["account_id", "prompt"]], preserve_index=False))
    holdings: pd.DataFrame = found.holdings.select(["account_id", "template_id"]).to_pandas()
    return holdings.rename(columns={"template_id": "value"}).assign(kind="prompt")
