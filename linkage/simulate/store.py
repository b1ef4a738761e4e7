"""Worlds on disk: four Parquet tables and the description from which they were made."""

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.simulate.cast import Part, Supplies
from linkage.simulate.clients import Clients
from linkage.simulate.clock import COUNTRIES, DAY_S
from linkage.simulate.draws import Bools, Floats, Ints, hash_keys
from linkage.simulate.language import Language, load_language
from linkage.simulate.network import spell_addresses
from linkage.simulate.prompts import compose, fingerprint, write_text
from linkage.simulate.registration import spell_hex, spell_keys, spell_mails, spell_phones
from linkage.simulate.traffic import Requests, Traffic

__all__ = ["Ledger", "write_accounts", "write_description", "write_events", "write_payments"]

_CHUNK: Final = 1 << 17  # events of a row group
_THREADS: Final = 2  # that spell out row groups while the next ones are drawn
_TIME: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """What all tables of a world have in common."""

    folder: Path
    start_us: int  # the world's first moment, microseconds since 1970
    seed: int
    account_ids: pa.Array

    def stamp(self, second: Floats) -> pa.Array:
        """Return timestamps of seconds since the world's start; missing where not a number."""
        known = np.isfinite(second)
        micros = self.start_us + np.round(np.where(known, second, 0.0) * 1e6).astype(np.int64)
        return pa.array(micros, mask=~known).cast(_TIME)

    def write(self, name: str, table: pa.Table) -> None:
        """Write a small table."""
        pq.write_table(
            table, self.folder / f"{name}.parquet", compression="zstd", store_schema=False
        )


def write_events(ledger: Ledger, traffic: Traffic, supplies: Supplies, *, prompts: str) -> int:
    """Write the events, one row group after the other.

    Parameters
    ----------
    ledger : Ledger
    traffic : Traffic
    supplies : Supplies
    prompts : {'text', 'fingerprints'}

    Returns
    -------
    int
        Events written.

    Notes
    -----
    Row groups are spelled out in threads while the next ones are drawn, and written in order; at
    most three wait, so memory does not grow with the world's length.
    """
    speller = _Speller(
        ledger=ledger,
        traffic=traffic,
        clients=supplies.clients,
        language=load_language(),
        as_text=prompts == "text",
    )
    n_events = 0
    waiting: deque[Future[pa.Table]] = deque()
    with _open_events(ledger, prompts) as writer, ThreadPoolExecutor(_THREADS) as threads:
        for requests in _cut_chunks(traffic.days()):
            n_events += len(requests.second)
            if len(waiting) > _THREADS:
                writer.write_table(waiting.popleft().result(), row_group_size=_CHUNK)
            waiting.append(threads.submit(speller.spell, requests, writer.schema))
        for future in waiting:
            writer.write_table(future.result(), row_group_size=_CHUNK)
    return n_events


def _cut_chunks(slices: Iterator[Requests]) -> Iterator[Requests]:
    """Join small slices and cut large ones, so that row groups are of one size."""
    rest: Requests | None = None
    for requests in slices:
        rest = requests if rest is None else Requests.join(rest, requests)
        while len(rest.second) >= _CHUNK:
            yield rest.take(np.arange(_CHUNK))
            rest = rest.take(np.arange(_CHUNK, len(rest.second)))
    if rest is not None and len(rest.second):
        yield rest


def _open_events(ledger: Ledger, prompts: str) -> pq.ParquetWriter:
    said = "prompt" if prompts == "text" else "prompt_fingerprint"
    names = ("ip", "device_id", "user_agent", "tls_fingerprint", said)
    schema = pa.schema(
        [("account_id", pa.string()), ("ts", _TIME), *((name, pa.string()) for name in names)]
    )
    coded = ["account_id", "ip", "device_id", "user_agent", "tls_fingerprint"]
    return pq.ParquetWriter(
        ledger.folder / "events.parquet",
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=coded,
        store_schema=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Speller:
    """Turns requests into rows of the events table."""

    ledger: Ledger
    traffic: Traffic
    clients: Clients
    language: Language
    as_text: bool

    def spell(self, requests: Requests, schema: pa.Schema) -> pa.Table:
        """Return requests as rows."""
        seats = self.traffic.seats.iloc[requests.seat]
        client = pa.array(seats["client"].to_numpy())
        return pa.Table.from_arrays(
            [
                self.ledger.account_ids.take(pa.array(requests.account)),
                self.ledger.stamp(requests.second),
                spell_addresses(self.traffic.locate(requests)),
                spell_keys(seats["device"].to_numpy(), "dev_", self.ledger.seed),
                pa.array(self.clients.user_agent).take(client),
                pa.array(self.clients.tls).take(client),
                self._say(requests),
            ],
            schema=schema,
        )

    def _say(self, requests: Requests) -> pa.Array:
        words, length = compose(self.language, self.traffic.speak(requests))
        if self.as_text:
            return write_text(self.language, words, length, _writes_capitals(requests.account))
        return spell_hex(fingerprint(self.language, words, length))


def _writes_capitals(account: Ints) -> Bools:
    capitals: Bools = hash_keys(account, 111) % np.uint64(3) != 0
    return capitals


def write_payments(ledger: Ledger, rng: np.random.Generator, cast: Part, days: int) -> int:
    """Write the payments, in order of time.

    Parameters
    ----------
    ledger : Ledger
    rng : numpy.random.Generator
    cast : Part
        Everybody.
    days : int

    Returns
    -------
    int
        Payments written.

    Notes
    -----
    Every card is used at least once, at any moment of the account's life within the world.
    """
    cards = cast.cards.loc[cast.cards.index.repeat(cast.cards["payments"])]
    bounds = cast.lives.groupby("account").agg(start=("start_s", "min"), end=("end_s", "max"))
    account = cards["account"].to_numpy()
    low = np.clip(bounds["start"].reindex(account).to_numpy(), 0, days * DAY_S - 1)
    high = np.clip(bounds["end"].reindex(account).to_numpy(), low, days * DAY_S)
    second = low + (high - low) * rng.random(len(cards))
    order = np.lexsort((account, second))
    bins = pd.Series(cards["bin"].to_numpy()[order]).astype(str).str.zfill(6)
    table = pa.table(
        {
            "account_id": ledger.account_ids.take(pa.array(account[order])),
            "ts": ledger.stamp(second[order]),
            "payment_method": spell_keys(cards["card"].to_numpy()[order], "pm_", ledger.seed),
            "bin": pa.array(bins, type=pa.string()),
        }
    )
    ledger.write("payments", table)
    return len(table)


def write_accounts(ledger: Ledger, cast: Part, domains: list[str], days: int) -> None:
    """Write the accounts and the truth, both in order of account_id.

    Parameters
    ----------
    ledger : Ledger
    cast : Part
        Everybody.
    domains : list of str
        Mail domains by number.
    days : int
        A ban after the last day has not happened yet.
    """
    accounts = cast.accounts
    banned = accounts["banned_s"].to_numpy(dtype=np.float64)
    banned = np.where(banned < days * DAY_S, banned, np.nan)
    country = accounts["country"].to_numpy()
    # A phone has the country of the first account that gives it.
    phone_country = accounts.groupby("phone")["country"].transform("first").to_numpy()
    table = pa.table(
        {
            "account_id": ledger.account_ids,
            "created_at": ledger.stamp(accounts["created_s"].to_numpy(dtype=np.float64)),
            "email": spell_mails(accounts, domains, ledger.seed),
            "phone": spell_phones(accounts["phone"].to_numpy(), phone_country),
            "country": pa.array(list(COUNTRIES)).take(pa.array(country)),
            "status": pa.array(np.where(np.isfinite(banned), "banned", "active")),
            "banned_at": ledger.stamp(banned),
        }
    )
    truth = pa.table(
        {
            "account_id": ledger.account_ids,
            "operator_id": _as_text(accounts["operator"]),
            "role": _as_text(accounts["role"]),
            "group_id": _as_text(accounts["group"]),
        }
    )
    ledger.write("accounts", table.sort_by("account_id"))
    ledger.write("truth", truth.sort_by("account_id"))


def _as_text(column: pd.Series) -> pa.Array:
    return pa.array(column, type=pa.string(), from_pandas=True)


def write_description(ledger: Ledger, description: dict[str, Any]) -> None:
    """Write ``world.json``: the seed, the settings and what came of them.

    Parameters
    ----------
    ledger : Ledger
    description : dict
    """
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    (ledger.folder / "world.json").write_text(text, encoding="utf-8")
