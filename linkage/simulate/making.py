"""The simulator: settings and a seed in, a folder with a world whose truth is known out."""

import datetime as dt
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from linkage._version import __version__
from linkage.errors import ConfigError, InputError
from linkage.simulate.cast import Part, Supplies, join_parts
from linkage.simulate.draws import make_generator
from linkage.simulate.operators import cast_operator, list_assets, plan_operators
from linkage.simulate.people import attach_resellers, cast_people, settle
from linkage.simulate.registration import spell_keys
from linkage.simulate.store import (
    Ledger,
    write_accounts,
    write_description,
    write_events,
    write_payments,
)
from linkage.simulate.traffic import Traffic
from linkage.simulate.world import World, load_preset

__all__ = ["Simulation", "simulate"]

TABLES = ("events", "payments", "accounts", "truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A world on disk."""

    folder: Path
    n_accounts: int
    n_events: int
    n_payments: int
    n_operators: int

    @property
    def events(self) -> Path:
        """The events table."""
        return self.folder / "events.parquet"

    @property
    def payments(self) -> Path:
        """The payments table."""
        return self.folder / "payments.parquet"

    @property
    def accounts(self) -> Path:
        """The accounts table."""
        return self.folder / "accounts.parquet"

    @property
    def truth(self) -> Path:
        """Who really runs each account."""
        return self.folder / "truth.parquet"


def simulate(
    out: str | Path,
    *,
    world: str | World = "demo",
    seed: int = 0,
    evasion: int | None = None,
    prompts: Literal["text", "fingerprints"] = "text",
    overwrite: bool = False,
) -> Simulation:
    """Make a world and write its events, payments, accounts and truth as Parquet.

    Parameters
    ----------
    out : str or Path
        Folder; it is made where it does not exist.
    world : str or World
        The name of a preset, or a world of your own; see `load_world`.
    seed : int
        At least 0. Same world, seed and version of linkage, same bytes.
    evasion : int, optional
        Level of all operators, 0 to 5, instead of the ones that the world names.
    prompts : {'text', 'fingerprints'}
        Whether events carry the text of the prompt, or one hash of it.
    overwrite : bool
        Whether to replace a world that is in the folder.

    Returns
    -------
    Simulation

    Raises
    ------
    ConfigError
        If the preset, the seed, the level or the kind of prompts does not exist.
    InputError
        If a world is in the folder and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> from linkage.simulate import World, simulate
    >>> ring = World.from_dict(
    ...     {"days": 3, "innocents": {"accounts": 50, "events": 200},
    ...      "operators": [{"accounts": 5, "events": 60}]}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     simulate(folder, world=ring).n_accounts
    55
    """
    settings = load_preset(world) if isinstance(world, str) else world
    settings = settings if evasion is None else settings.at_evasion(evasion)
    if seed < 0:
        raise ConfigError(f"seed must be at least 0; got {seed}")
    if prompts not in ("text", "fingerprints"):
        raise ConfigError(f"prompts must be 'text' or 'fingerprints'; got {prompts!r}")
    folder = Path(out)
    _check_folder(folder, overwrite=overwrite)
    cast, supplies = _cast(settings, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as desk:
        ledger = _open_ledger(Path(desk), settings, seed, len(cast.accounts))
        made = _write(ledger, settings, cast, supplies, prompts=prompts)
        for path in sorted(Path(desk).iterdir()):
            path.replace(folder / path.name)
    return replace(made, folder=folder)


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; name a folder for the world")
    present = [name for name in TABLES if (folder / f"{name}.parquet").exists()]
    if present and not overwrite:
        raise InputError(
            f"{str(folder)!r} already holds {present[0]}.parquet; name another folder, or ask to "
            "overwrite it"
        )


def _cast(world: World, seed: int) -> tuple[Part, Supplies]:
    """Cast everybody: the innocents first, then each operator, then the resellers' customers."""
    people, supplies = settle(make_generator(seed, 1), world)
    innocents = cast_people(make_generator(seed, 2), world, people, supplies)
    parts, assets, framed = [], [], [np.zeros(0, dtype=np.int64)]
    for plan in plan_operators(make_generator(seed, 3), world):
        part, victims = cast_operator(make_generator(seed, 4, plan.number), plan, people, supplies)
        parts.append(part)
        assets.append(list_assets(part))
        framed.append(victims)
    lettable = pd.concat(assets, ignore_index=True) if assets else pd.DataFrame()
    seats, cards = attach_resellers(make_generator(seed, 5), world, people, supplies, lettable)
    accounts = innocents.accounts.copy()
    accounts.loc[np.unique(np.concatenate(framed)), "role"] = "framed"
    innocents = replace(
        innocents,
        accounts=accounts,
        seats=pd.concat([innocents.seats, seats], ignore_index=True),
        cards=pd.concat([innocents.cards, cards], ignore_index=True),
    )
    return join_parts([innocents, *parts]), supplies


def _open_ledger(folder: Path, world: World, seed: int, n_accounts: int) -> Ledger:
    start = dt.datetime.combine(world.start, dt.time(), tzinfo=dt.UTC)
    return Ledger(
        folder=folder,
        start_us=int(start.timestamp()) * 1_000_000,
        seed=seed,
        account_ids=spell_keys(np.arange(n_accounts), "acc_", seed),
    )


def _write(
    ledger: Ledger, world: World, cast: Part, supplies: Supplies, *, prompts: str
) -> Simulation:
    seed, n_accounts = ledger.seed, len(cast.accounts)
    traffic = Traffic(
        cast,
        supplies.library,
        supplies.network.freeze(),
        start_weekday=world.start.weekday(),
        days=world.days,
        seed=seed,
    )
    write_accounts(ledger, cast, supplies.domains, world.days)
    n_payments = write_payments(ledger, make_generator(seed, 6), cast, world.days)
    n_events = write_events(ledger, traffic, supplies, prompts=prompts)
    made = Simulation(
        folder=ledger.folder,
        n_accounts=n_accounts,
        n_events=n_events,
        n_payments=n_payments,
        n_operators=int(cast.accounts["operator"].nunique()),
    )
    description = {
        "linkage": __version__,
        "seed": seed,
        "prompts": prompts,
        "accounts": n_accounts,
        "events": n_events,
        "payments": n_payments,
        "operators": made.n_operators,
        "world": world.to_dict(),
    }
    write_description(ledger, description)
    return made
