"""A world's events, day by day and in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import pandas as pd

from linkage.simulate.cast import NOBODY, Library, Part
from linkage.simulate.clock import DAY_S, sample_second_of_day, weekday_weight
from linkage.simulate.draws import Floats, Ints, hash_keys, make_generator, spread_uniform
from linkage.simulate.language import TOPICS
from linkage.simulate.network import Sources
from linkage.simulate.prompts import PromptPlan

__all__ = ["Requests", "Traffic"]

_BATCHES: Final = 6  # a day, of an operator that works in batches
_BATCH_S: Final = 90.0  # within which all accounts of a batch begin
_OPENINGS: Final = 0.35  # share of free prompts with a common opening
_HABITUAL: Final = 0.7  # share of free prompts on the account's own topic


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """Events before they are spelled out: row = event."""

    second: Floats  # since the world's start
    account: Ints
    seat: Ints
    nonce: Ints  # random 63 bits

    def take(self, rows: Ints) -> Self:
        """Return some rows, in this order."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def join(cls, first: Self, second: Self) -> Self:
        """Put one below the other."""
        return cls(
            **{
                f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
                for f in fields(cls)
            }
        )


class Traffic:
    """Draws the events of a cast.

    Parameters
    ----------
    cast : Part
        Everybody.
    library : Library
        What they say.
    sources : Sources
        Where they send from.
    start_weekday : int
        Weekday of the first day, 0 for Monday.
    days : int
    seed : int
    """

    def __init__(
        self,
        cast: Part,
        library: Library,
        sources: Sources,
        *,
        start_weekday: int,
        days: int,
        seed: int,
    ) -> None:
        self.seats = cast.seats.sort_values("life", kind="stable", ignore_index=True)
        self._lives = {name: column.to_numpy() for name, column in cast.lives.items()}
        self._books = library.list_books()
        self._templates = library.list_templates()
        self._sources = sources
        self._start_weekday, self._days, self._seed = start_weekday, days, seed
        n_lives = len(cast.lives)
        self._first_seat = np.searchsorted(self.seats["life"], np.arange(n_lives + 1))
        self._seat_bound = _cumulate_weights(self.seats, self._first_seat)
        self._rate = self._set_rates()
        self._episodes = _stack_episodes(cast.episodes, len(cast.accounts))

    def _weekday(self, day: int) -> int:
        return (self._start_weekday + day) % 7

    def _presence(self, day: int) -> Floats:
        """Return the share of a day for which each life lasts."""
        start, end = self._lives["start_s"], self._lives["end_s"]
        overlap = np.minimum(end, (day + 1) * DAY_S) - np.maximum(start, day * DAY_S)
        share: Floats = np.maximum(overlap, 0.0) / DAY_S
        return share

    def _set_rates(self) -> Floats:
        """Return each life's events on a full, average day, so that the sum is as expected."""
        exposure = np.zeros(len(self._lives["start_s"]))
        for day in range(self._days):
            exposure += self._presence(day) * weekday_weight(
                self._lives["schedule"], self._weekday(day)
            )
        lasting = exposure > 0
        wanted = self._lives["events"]
        lost = wanted[~lasting].sum() if lasting.any() else 0.0
        scale = 1 + lost / max(wanted[lasting].sum(), 1e-9)
        return np.where(lasting, wanted * scale / np.where(lasting, exposure, 1.0), 0.0)

    def days(self) -> Iterator[Requests]:
        """Yield the events in slices that follow each other in time.

        Yields
        ------
        Requests
            Sorted by time; no slice begins before the one before it ends.
        """
        waiting = _no_requests()
        for day in range(self._days):
            drawn = Requests.join(waiting, self._draw_day(day))
            drawn = drawn.take(np.argsort(drawn.second, kind="stable"))
            done = int(np.searchsorted(drawn.second, (day + 1) * DAY_S))
            done = len(drawn.second) if day == self._days - 1 else done
            yield drawn.take(np.arange(done))
            waiting = drawn.take(np.arange(done, len(drawn.second)))

    def _draw_day(self, day: int) -> Requests:
        rng = make_generator(self._seed, 9, day)
        life, length, ordinal, total = self._draw_sittings(rng, day)
        start = self._place_sittings(rng, day, life, ordinal, total)
        seat = self._take_seats(rng, life)
        sitting = np.repeat(np.arange(len(life)), length)
        second = self._follow_sittings(rng, start, life, sitting, length)
        return Requests(
            second=second,
            account=self._lives["account"][life[sitting]],
            seat=seat[sitting],
            nonce=rng.integers(0, 2**63 - 1, len(sitting)),
        )

    def _draw_sittings(self, rng: np.random.Generator, day: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Return life and events of the day's sittings, their ordinal and number within the life.

        The number is 0 for lives that do not take part in a round robin today.
        """
        weight = weekday_weight(self._lives["schedule"], self._weekday(day))
        wanted = self._rate * self._presence(day) * weight
        alive = np.flatnonzero(wanted > 0)
        drawn = hash_keys(alive, day, self._seed, 91)
        active = self._lives["active"][alive]
        balanced = (
            spread_uniform(hash_keys(alive, day, self._seed, 92)) < (self._lives["balance"][alive])
        )
        busy = balanced | (spread_uniform(drawn) < active)
        alive, balanced = alive[busy], balanced[busy]
        events = wanted[alive] / np.where(balanced, 1.0, active[busy])
        events[balanced] = _level(events[balanced], self._lives["unit"][alive[balanced]])
        session = self._lives["session"][alive]
        n_sittings = rng.poisson(events / session)
        turn = spread_uniform(hash_keys(self._lives["unit"][alive], day, self._seed, 93))
        n_sittings[balanced] = np.floor(events + turn)[balanced].astype(np.int64)
        life = np.repeat(alive, n_sittings)
        ordinal = np.arange(len(life)) - np.repeat(np.cumsum(n_sittings) - n_sittings, n_sittings)
        total = np.repeat(np.where(balanced, n_sittings, 0), n_sittings)
        length = rng.geometric(1 / self._lives["session"][life])
        return life, np.where(total > 0, 1, length), ordinal, total

    def _place_sittings(
        self, rng: np.random.Generator, day: int, life: Ints, ordinal: Ints, total: Ints
    ) -> Floats:
        lives = self._lives
        quantile = rng.random(len(life))
        # Round robin: an operator's k-th round visits its places in their order.
        place = (lives["rank"][life] + 0.2 * quantile) / lives["n_ranks"][life]
        quantile = np.where(total > 0, (ordinal + place) / np.maximum(total, 1), quantile)
        batch = rng.integers(0, _BATCHES, len(life))
        tick = spread_uniform(hash_keys(lives["unit"][life], day, batch, self._seed, 94))
        second = day * DAY_S + sample_second_of_day(
            quantile,
            np.where(total > 0, lives["queue"][life], lives["schedule"][life]),
            np.where(total > 0, lives["queue_offset_h"][life], lives["offset_h"][life]),
        )
        follows = (rng.random(len(life)) < lives["sync"][life]) & (total == 0)
        started = day * DAY_S + (DAY_S - _BATCH_S) * tick + _BATCH_S * rng.random(len(life))
        second = np.where(follows, started, second)
        low = np.maximum(lives["start_s"][life], day * DAY_S)
        high = np.minimum(lives["end_s"][life], (day + 1) * DAY_S)
        outside = (second < low) | (second >= high)
        return np.where(outside, low + (high - low) * rng.random(len(life)), second)

    def _take_seats(self, rng: np.random.Generator, life: Ints) -> Ints:
        # Seat k of life l ends at l + its cumulative share: one search serves all lives.
        place = life + rng.random(len(life))
        seat = np.searchsorted(self._seat_bound, place, side="right")
        return np.minimum(seat, self._first_seat[life + 1] - 1).astype(np.int64)

    def _follow_sittings(
        self, rng: np.random.Generator, start: Floats, life: Ints, sitting: Ints, length: Ints
    ) -> Floats:
        gaps = rng.standard_exponential(len(sitting)) * self._lives["gap_s"][life[sitting]]
        first = np.cumsum(length) - length
        gaps[first] = 0.0
        passed = np.cumsum(gaps)
        second = start[sitting] + passed - passed[first][sitting]
        end = self._lives["end_s"][life[sitting]]
        # Nobody sends after the end; the last requests crowd into the minute before.
        late = np.maximum(start[sitting], end - 60 * rng.random(len(sitting)) - 1e-3)
        return np.where(second < end, second, late)

    def locate(self, requests: Requests) -> Ints:
        """Return the address code of each event."""
        source = self.seats["source"].to_numpy()[requests.seat]
        return self._sources.resolve(source, requests.account, requests.second, requests.nonce)

    def speak(self, requests: Requests) -> PromptPlan:
        """Decide what each event says."""
        template, book = self._choose_templates(requests)
        free = template == NOBODY
        row = np.maximum(template, 0)
        key = hash_keys(requests.nonce, self._seed, 95)
        column = self._templates
        own = hash_keys(requests.account, row, self._seed, 96)
        by_account = self._books["by_account"].to_numpy()[book]
        length = 1 + np.minimum((-1.6 * np.log1p(-_uniform(requests, 97))).astype(np.int64), 6)
        if len(column) == 0:
            column = pd.DataFrame(
                {"seed": np.zeros(1, dtype=np.uint64), "topic": 0, "fixed": 1, "payload": 0,
                 "slots": 0.0}
            )  # fmt: skip
        return PromptPlan(
            seed=np.where(free, key, column["seed"].to_numpy()[row]),
            key=key,
            wording=np.where(by_account, own, key),
            topic=np.where(free, self._choose_topics(requests), column["topic"].to_numpy()[row]),
            n_fixed=np.where(free, length, column["fixed"].to_numpy()[row]),
            n_payload=np.where(free, 0, column["payload"].to_numpy()[row]),
            slot_share=np.where(free, 0.0, column["slots"].to_numpy()[row]),
            word_share=np.where(free, 0.0, self._books["words"].to_numpy()[book]),
            sentence_share=np.where(free, 0.0, self._books["sentences"].to_numpy()[book]),
            opening=free & (_uniform(requests, 98) < _OPENINGS),
        )

    def _choose_topics(self, requests: Requests) -> Ints:
        own = hash_keys(requests.account, self._seed, 99) % np.uint64(len(TOPICS))
        drawn = hash_keys(requests.nonce, 100) % np.uint64(len(TOPICS))
        return np.where(_uniform(requests, 101) < _HABITUAL, own, drawn).astype(np.int64)

    def _choose_templates(self, requests: Requests) -> tuple[Ints, Ints]:
        """Return the template (NOBODY for a free prompt) and the book of each event."""
        books = {name: column.to_numpy() for name, column in self._books.items()}
        book = self.seats["book"].to_numpy()[requests.seat]
        # Not everybody turns at once: the change takes a day.
        delay = DAY_S * spread_uniform(hash_keys(requests.account, self._seed, 102))
        turned = requests.second >= books["pivot_s"][book] + delay
        book = np.where(turned, books["successor"][book], book)
        few = books["per_account"][book]
        number = hash_keys(requests.nonce, 103)
        number = np.where(few > 0, number % np.maximum(few, 1).astype(np.uint64), number)
        own = hash_keys(requests.account, number.view(np.int64), book, 104)
        chosen = np.where(few > 0, own, number) % np.maximum(books["size"][book], 1).astype(
            np.uint64
        )
        template = books["low"][book] + chosen.astype(np.int64)
        uses = _uniform(requests, 105) < books["share"][book]
        return self._interrupt(requests, np.where(uses, template, NOBODY)), book

    def _interrupt(self, requests: Requests, template: Ints) -> Ints:
        """Put an assignment or a viral prompt in place of what would have been said."""
        for layer, rows in enumerate(self._episodes["row"]):
            row = rows[requests.account]
            during = (
                (row != NOBODY)
                & (requests.second >= self._episodes["start_s"][row])
                & (requests.second < self._episodes["end_s"][row])
                & (_uniform(requests, 200 + layer) < self._episodes["share"][row])
            )
            template = np.where(during, self._episodes["template"][row], template)
        return template


def _uniform(requests: Requests, salt: int) -> Floats:
    return spread_uniform(hash_keys(requests.nonce, salt))


def _level(events: Floats, unit: Ints) -> Floats:
    """Give all accounts of an operator the same share of its requests."""
    count = np.bincount(unit)
    mean: Floats = np.bincount(unit, weights=events) / np.maximum(count, 1)
    return mean[unit]


def _no_requests() -> Requests:
    none = np.zeros(0, dtype=np.int64)
    return Requests(second=np.zeros(0), account=none, seat=none, nonce=none)


def _cumulate_weights(seats: pd.DataFrame, first_seat: Ints) -> Floats:
    weight = seats["weight"].to_numpy(dtype=np.float64)
    life = seats["life"].to_numpy()
    passed = np.concatenate([[0.0], np.cumsum(weight)])
    before = passed[first_seat[life]]
    total = passed[first_seat[life + 1]] - before
    bounds: Floats = life + (passed[1:] - before) / np.where(total > 0, total, 1.0)
    return bounds


def _stack_episodes(episodes: pd.DataFrame, n_accounts: int) -> dict[str, np.ndarray]:
    """Return the episodes' columns, and layers of rows by account: one episode an account each."""
    layer = episodes.groupby("account").cumcount().to_numpy()
    rows = np.full((int(layer.max(initial=-1)) + 1, n_accounts), NOBODY, dtype=np.int64)
    rows[layer, episodes["account"].to_numpy()] = np.arange(len(episodes))
    return {"row": rows, **{str(name): column.to_numpy() for name, column in episodes.items()}}
