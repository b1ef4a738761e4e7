"""The tables in which a world is cast, and what its builders draw on.

A *life* is a stretch in which an account behaves in one way; a bought account has two, its first
owner's and the operator's. A *seat* is one way in which a life sends: from a source of addresses,
a device, a client, with a book of prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from linkage.simulate.clients import Clients
from linkage.simulate.draws import Floats, Ints, Keys
from linkage.simulate.network import Network

__all__ = [
    "FREE_BOOK",
    "MACHINE_STYLE",
    "MAIL_HOSTS",
    "MAIL_HOST_SHARES",
    "NOBODY",
    "N_SELLERS",
    "VIRTUAL_BINS",
    "Counter",
    "Library",
    "Part",
    "Supplies",
    "issue_bins",
    "join_parts",
    "make_lives",
    "make_seats",
]

NOBODY: Final = -1
FREE_BOOK: Final = 0  # the book of those who write everything anew

# Mail hosts where anyone gets an address; names under .example belong to nobody.
MAIL_HOSTS: Final = (
    "freemail.example", "mail.example", "inbox.example", "postbox.example", "webmail.example",
    "letters.example", "airmail.example", "quickmail.example",
)  # fmt: skip

MAIL_HOST_SHARES: Final = (0.42, 0.2, 0.13, 0.09, 0.06, 0.05, 0.03, 0.02)
MACHINE_STYLE: Final = 3  # addresses made up by a series' pattern; 0 to 2 are people's

VIRTUAL_BINS: Final = 99_000  # first issuer number of the sellers of virtual cards
N_SELLERS: Final = 5
_N_ISSUERS: Final = 12  # of one country

_LIFE_DEFAULTS: Final = {
    "unit": NOBODY,  # number of the operator
    "rank": 0,  # place in the operator's round robin
    "n_ranks": 1,
    "balance": 0.0,  # share of days on which requests go round robin
    "sync": 0.0,  # share of sittings that start with a batch
    "queue": 0,  # schedule of the operator's queue, which the round robin serves
    "queue_offset_h": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Part of the cast: innocents or one operator.

    Attributes
    ----------
    accounts : DataFrame
        Row = account: role, group, operator, country, created_s, banned_s, mail_style, mail_domain,
        mail_series, phone.
    lives : DataFrame
        account, start_s, end_s, events (expected), session (mean events), gap_s (mean between
        events), schedule, offset_h, active (share of days), unit, rank, n_ranks, balance, sync,
        queue, queue_offset_h.
    seats : DataFrame
        life, source, device, client, book, weight.
    cards : DataFrame
        account, card, bin, payments.
    episodes : DataFrame
        account, template, start_s, end_s, share: for a while, a share of events uses a template.
    """

    accounts: pd.DataFrame
    lives: pd.DataFrame
    seats: pd.DataFrame
    cards: pd.DataFrame
    episodes: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            {
                "account": pd.Series(dtype="int64"),
                "template": pd.Series(dtype="int64"),
                "start_s": pd.Series(dtype="float64"),
                "end_s": pd.Series(dtype="float64"),
                "share": pd.Series(dtype="float64"),
            }
        )
    )


def make_lives(**columns: object) -> pd.DataFrame:
    """Make a table of lives; what is not given has the value of an ordinary customer's.

    Parameters
    ----------
    **columns : array_like or scalar
        As in `Part.lives`; at least one is an array.

    Returns
    -------
    DataFrame
    """
    return pd.DataFrame({**_LIFE_DEFAULTS, **columns})


def make_seats(
    life: Ints,
    source: Ints,
    *,
    device: Ints | int,
    client: Ints | int,
    book: Ints | int,
    weight: Floats | float,
) -> pd.DataFrame:
    """Make a table of seats.

    Parameters
    ----------
    life, source : ndarray of int64, shape (n,)
    device, client, book : int or ndarray of int64
        `NOBODY` for requests that carry no device.
    weight : float or ndarray of float64
        How often the seat is taken, relative to the life's others.

    Returns
    -------
    DataFrame
    """
    return pd.DataFrame(
        {
            "life": life,
            "source": source,
            "device": device,
            "client": client,
            "book": book,
            "weight": weight,
        }
    )


def issue_bins(card: Ints, country: Ints) -> Ints:
    """Return the issuer numbers of cards from a bank of a country.

    Parameters
    ----------
    card, country : ndarray of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    return country * 1000 + (card * 7 + card // 13) % _N_ISSUERS


def join_parts(parts: Sequence[Part]) -> Part:
    """Put parts one below the other; accounts and lives are renumbered.

    Parameters
    ----------
    parts : sequence of Part
        Accounts and lives are numbered from 0 within each.

    Returns
    -------
    Part
    """
    first_account = np.cumsum([0, *(len(part.accounts) for part in parts)])
    first_life = np.cumsum([0, *(len(part.lives) for part in parts)])
    return Part(
        accounts=pd.concat([part.accounts for part in parts], ignore_index=True),
        lives=_shift([part.lives for part in parts], account=first_account),
        seats=_shift([part.seats for part in parts], life=first_life),
        cards=_shift([part.cards for part in parts], account=first_account),
        episodes=_shift([part.episodes for part in parts], account=first_account),
    )


def _shift(tables: list[pd.DataFrame], **first: Ints) -> pd.DataFrame:
    moved = [
        table.assign(**{name: table[name] + start[k] for name, start in first.items()})
        for k, table in enumerate(tables)
        if len(table) or k == 0
    ]
    return pd.concat(moved, ignore_index=True)


class Counter:
    """Hands out numbers that nobody else has."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, n: int) -> Ints:
        """Return the next n numbers."""
        first = self.used
        self.used += n
        return np.arange(first, self.used)


class Library:
    """Collects prompt templates, and books: which templates are used, how often, how reworded."""

    def __init__(self) -> None:
        self._templates: list[pd.DataFrame] = []
        self._books: list[pd.DataFrame] = []
        self._n_templates = 0
        self._n_books = 0
        self.add_books(low=np.zeros(1, dtype=np.int64), size=0, share=0.0)

    def add_templates(
        self,
        seed: Keys,
        topic: Ints | int,
        *,
        fixed: Ints | int,
        payload: Ints | int,
        slots: Floats | float,
    ) -> Ints:
        """Add templates.

        Parameters
        ----------
        seed : ndarray of uint64, shape (k,)
            What each template says.
        topic : int or ndarray, shape (k,)
            Position in `language.TOPICS`.
        fixed, payload : int or ndarray
            Sentences of the template, and of fresh material in every event.
        slots : float or ndarray
            Share of the template's content words that change with every event.

        Returns
        -------
        ndarray of int64, shape (k,)
            Their numbers.
        """
        rows = pd.DataFrame(
            {"seed": seed, "topic": topic, "fixed": fixed, "payload": payload, "slots": slots}
        )
        self._templates.append(rows)
        first = self._n_templates
        self._n_templates += len(rows)
        return np.arange(first, self._n_templates)

    def add_books(
        self,
        *,
        low: Ints,
        size: Ints | int,
        share: Floats | float,
        per_account: int = 0,
        words: float = 0.0,
        sentences: float = 0.0,
        by_account: bool = False,
        pivot_s: float = np.inf,
        successor: Ints | int = NOBODY,
    ) -> Ints:
        """Add books.

        Parameters
        ----------
        low, size : ndarray of int64, shape (k,), or int
            The run of templates of each book.
        share : float or ndarray
            Share of events that use a template; the others are free prompts.
        per_account : int
            Templates that one account uses; 0 for all.
        words, sentences : float
            Shares of a template that are paraphrased.
        by_account : bool
            Whether an account keeps its wording.
        pivot_s : float
            When readers change to the successor, within a day.
        successor : int or ndarray
            Book that follows at the pivot.

        Returns
        -------
        ndarray of int64, shape (k,)
            Their numbers.
        """
        rows = pd.DataFrame(
            {
                "low": low,
                "size": size,
                "share": share,
                "per_account": per_account,
                "words": words,
                "sentences": sentences,
                "by_account": by_account,
                "pivot_s": pivot_s,
                "successor": successor,
            }
        )
        self._books.append(rows)
        first = self._n_books
        self._n_books += len(rows)
        return np.arange(first, self._n_books)

    def list_templates(self) -> pd.DataFrame:
        """Return all templates, row = number."""
        empty = pd.DataFrame(
            {
                "seed": np.zeros(1, dtype=np.uint64),
                "topic": 0,
                "fixed": 1,
                "payload": 0,
                "slots": 0.0,
            }
        ).iloc[:0]
        return pd.concat([empty, *self._templates], ignore_index=True) if self._templates else empty

    def list_books(self) -> pd.DataFrame:
        """Return all books, row = number."""
        return pd.concat(self._books, ignore_index=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supplies:
    """What builders draw on, so that no two of them hand out the same thing."""

    network: Network
    clients: Clients
    vendors: Ints  # sources: the proxy vendors' pools
    spare_lines: Ints  # home lines of people who are no customers
    library: Library = field(default_factory=Library)
    devices: Counter = field(default_factory=Counter)
    cards: Counter = field(default_factory=Counter)
    phones: Counter = field(default_factory=Counter)
    domains: list[str] = field(default_factory=lambda: list(MAIL_HOSTS))

    def add_domains(self, names: Sequence[str]) -> Ints:
        """Register mail domains and return their numbers."""
        first = len(self.domains)
        self.domains.extend(names)
        return np.arange(first, len(self.domains))
