"""Operators: many accounts, one will."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pandas as pd

from linkage.simulate.cast import (
    FREE_BOOK,
    MACHINE_STYLE,
    MAIL_HOST_SHARES,
    N_SELLERS,
    NOBODY,
    VIRTUAL_BINS,
    Part,
    Supplies,
    issue_bins,
    make_lives,
    make_seats,
)
from linkage.simulate.clock import COUNTRIES, DAY_S, HOUR_S, SCHEDULES
from linkage.simulate.draws import (
    Bools,
    Floats,
    Ints,
    draw_weighted,
    hash_keys,
    mix,
    spread_uniform,
)
from linkage.simulate.language import TOPICS, make_names
from linkage.simulate.network import ALWAYS, hold_seconds
from linkage.simulate.people import People
from linkage.simulate.world import Behaviour, Operator, World

__all__ = ["Plan", "cast_operator", "list_assets", "plan_operators"]

_OFFSETS: Final = np.array([offset for offset, _ in COUNTRIES.values()])
_SHARES: Final = np.array([share for _, share in COUNTRIES.values()])
_HIDEOUT_OFFSET_H: Final = 8.0  # local time of those who work an operator's shift
_WARM_UP_S: Final = 0.5 * HOUR_S  # from an heir's sign-up to its first request, at most
_N_SHARDS: Final = 3  # capabilities that an operator shares out


class Counts(Protocol):
    """Whatever hands out numbers."""

    def take(self, n: int) -> Ints:
        """Return n numbers that nobody else has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One operator, as it will be cast."""

    number: int
    name: str
    n_accounts: int
    events: float  # expected; 0 for `events_per_day`
    events_per_day: float  # of an active account
    start_s: float
    end_s: float
    vendor: int | None
    behaviour: Behaviour


def plan_operators(rng: np.random.Generator, world: World) -> list[Plan]:
    """Draw the operators that a world's settings describe.

    Parameters
    ----------
    rng : numpy.random.Generator
    world : World

    Returns
    -------
    list of Plan
    """
    settings = [operator for operator in world.operators for _ in range(operator.count)]
    return [_plan(rng, world, setting, number) for number, setting in enumerate(settings)]


def _plan(rng: np.random.Generator, world: World, setting: Operator, number: int) -> Plan:
    low, high = setting.accounts
    size = int(np.exp(np.log(low) + (np.log(high + 1) - np.log(low)) * rng.random()))
    last = setting.start + setting.days if setting.days else float(world.days)
    name = setting.name or "operator"
    level = world.evasion if setting.evasion is None else setting.evasion
    return Plan(
        number=number,
        name=name if setting.name and setting.count == 1 else f"{name}-{number:03d}",
        n_accounts=min(max(size, low), high),
        events=float(setting.events),
        events_per_day=setting.events_per_day,
        start_s=setting.start * DAY_S,
        end_s=min(last, float(world.days)) * DAY_S,
        vendor=setting.vendor,
        behaviour=setting.resolve(level),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Crew:
    """An operator's accounts: row = account."""

    cell: Ints
    place: Ints  # accounts of one place follow each other after bans
    n_places: int
    country: Ints
    start_s: Floats
    end_s: Floats
    created_s: Floats
    banned_s: Floats
    is_aged: Bools  # bought from somebody else
    is_farmed: Bools  # lives off free credits


def cast_operator(
    rng: np.random.Generator, plan: Plan, people: People, supplies: Supplies
) -> tuple[Part, Ints]:
    """Cast one operator.

    Parameters
    ----------
    rng : numpy.random.Generator
    plan : Plan
    people : People
        Innocents, whose home lines carry residential proxies and whom operators frame.
    supplies : Supplies

    Returns
    -------
    part : Part
        Role ``operator``; the group is the cell.
    victims : ndarray of int64
        The innocents whom it frames.
    """
    crew = _recruit(rng, plan)
    victims = _choose_victims(rng, plan, people)
    device, client = _equip(rng, plan, crew, supplies)
    routes = _route(rng, plan, crew, supplies)
    routes["book"] = _write_books(rng, plan, supplies)[routes["account"]]
    routes = pd.concat([routes, _frame(rng, plan, people, victims, supplies)], ignore_index=True)
    account = routes["account"].to_numpy()
    seats = make_seats(
        account,
        routes["source"].to_numpy(),
        device=device[account],
        client=client[account],
        book=routes["book"].to_numpy(),
        weight=routes["weight"].to_numpy(),
    )
    lives, old_seats = _live(rng, plan, crew, supplies)
    part = Part(
        accounts=_register(rng, plan, crew, supplies),
        lives=lives,
        seats=pd.concat([seats, old_seats], ignore_index=True),
        cards=_pay(rng, plan, crew, supplies),
    )
    return part, victims


def _split_cells(rng: np.random.Generator, n: int, cells: int) -> Ints:
    n_cells = max(1, min(cells, n // 2))
    return rng.permutation(np.arange(n) % n_cells)


def _recruit(rng: np.random.Generator, plan: Plan) -> _Crew:
    says, n = plan.behaviour, plan.n_accounts
    n_places = max(1, round(n / (1 + says.bans)))
    place = np.concatenate([np.arange(n_places), rng.integers(0, n_places, n - n_places)])
    cell = _split_cells(rng, n_places, says.cells)[place]
    start, end, banned = _follow_bans(rng, plan, place, n_places)
    created = _sign_up(rng, plan, start, n_places)
    is_aged = rng.random(n) < says.aged
    created[is_aged] = -DAY_S * (90 + 800 * rng.random(int(is_aged.sum())))
    is_farmed = rng.random(n) < says.farming
    # Free credits last for some days; then the account is left behind.
    credit = start + DAY_S * (3 + 7 * rng.random(n))
    end = np.where(is_farmed, np.minimum(end, credit), end)
    banned[banned > end] = np.nan
    return _Crew(
        cell=cell,
        place=place,
        n_places=n_places,
        country=_choose_countries(rng, says, n),
        start_s=np.maximum(start, created + 60.0),
        end_s=end,
        created_s=created,
        banned_s=banned,
        is_aged=is_aged,
        is_farmed=is_farmed,
    )


def _follow_bans(
    rng: np.random.Generator, plan: Plan, place: Ints, n_places: int
) -> tuple[Floats, Floats, Floats]:
    """Let accounts of a place follow each other: banned, replaced, banned."""
    n = len(place)
    length = plan.end_s - plan.start_s
    cut = plan.start_s + length * (0.05 + 0.95 * rng.random(n))
    cut[:n_places] = plan.start_s
    order = np.lexsort((cut, place))
    follows = np.zeros(n, dtype=np.bool_)
    follows[:-1] = place[order][1:] == place[order][:-1]
    banned = np.full(n, np.nan)
    banned[order[follows]] = cut[order[np.flatnonzero(follows) + 1]]
    # An heir signs up after the ban, shortly before its first request.
    longest = max(_WARM_UP_S, plan.behaviour.successor_hours * HOUR_S)
    wait = _WARM_UP_S + (longest - _WARM_UP_S) * rng.random(n)
    wait[:n_places] = 0.0
    end = np.where(np.isnan(banned), plan.end_s, banned)
    return np.minimum(cut + wait, end - 1.0), end, banned


def _sign_up(rng: np.random.Generator, plan: Plan, start: Floats, n_places: int) -> Floats:
    spread = plan.behaviour.stagger
    n = len(start)
    # At stagger 1 sign-ups begin 75 days ahead and go on for half of the campaign.
    ahead = spread * 75 * DAY_S
    late = spread * 0.5 * (plan.end_s - plan.start_s)
    burst = 2 * HOUR_S * rng.random(n)
    first = plan.start_s - DAY_S - ahead + (ahead + late) * rng.random(n) + burst
    heir = start - _WARM_UP_S * rng.random(n)
    return np.where(np.arange(n) < n_places, first, heir)


def _choose_countries(rng: np.random.Generator, says: Behaviour, n: int) -> Ints:
    country = draw_weighted(rng, _SHARES, n)
    flooded = rng.random(n) < says.flooding
    country[flooded] = list(COUNTRIES).index(says.flood_country)
    return country


def _choose_victims(rng: np.random.Generator, plan: Plan, people: People) -> Ints:
    n = len(people.role)
    if plan.behaviour.framing == 0 or n == 0:
        return np.zeros(0, dtype=np.int64)
    # Whoever sends a prompt of their own again and again can be imitated.
    solo = np.flatnonzero((people.role == 0) & (people.template != NOBODY))
    pool = solo if len(solo) else np.arange(n)
    return rng.choice(pool, min(int(plan.behaviour.framed), len(pool)), replace=False)


def _equip(
    rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies
) -> tuple[Ints, Ints]:
    says, n = plan.behaviour, plan.n_accounts
    device = supplies.devices.take(n)
    reused = np.flatnonzero(rng.random(n) < says.device_reuse)
    device[reused] = _share_out(rng, crew.cell[reused], says.accounts_per_device, supplies.devices)
    n_cells = int(crew.cell.max()) + 1
    everyday, program = supplies.clients.browser_share, supplies.clients.sdk_share
    house = np.where(
        rng.random(n_cells) < 0.5,
        draw_weighted(rng, program, n_cells),
        draw_weighted(rng, everyday, n_cells),
    )
    varied = rng.random(n) < says.client_diversity
    own = np.where(
        rng.random(n) < 0.3, draw_weighted(rng, program, n), draw_weighted(rng, everyday, n)
    )
    return device, np.where(varied, own, house[crew.cell])


def _share_out(
    rng: np.random.Generator, cell: Ints, accounts_per_thing: float, counter: Counts
) -> Ints:
    """Share new things out among accounts, never across cells."""
    things = np.empty(len(cell), dtype=np.int64)
    for c in np.unique(cell):
        rows = rng.permutation(np.flatnonzero(cell == c))
        n_things = max(1, round(len(rows) / accounts_per_thing))
        numbers = counter.take(n_things)
        things[rows] = numbers[np.arange(len(rows)) % n_things]
    return things


def _write_books(rng: np.random.Generator, plan: Plan, supplies: Supplies) -> Ints:
    """Write the operator's templates, by capability, before and after the pivot."""
    says, n = plan.behaviour, plan.n_accounts
    topics = rng.permutation(len(TOPICS))[:_N_SHARDS]
    after = _add_book(plan, supplies, _write(rng, plan, topics, int(says.templates), supplies))
    pivot_s = plan.start_s + says.pivot_day * (plan.end_s - plan.start_s)
    shards = [topics, *topics[:, None]]
    sizes = [int(says.templates), *[max(1, int(says.templates) // _N_SHARDS)] * _N_SHARDS]
    books = np.zeros((len(shards), 2), dtype=np.int64)
    for row, (shard, size) in enumerate(zip(shards, sizes, strict=True)):
        templates = _write(rng, plan, shard, size, supplies)
        books[row, 0] = _add_book(plan, supplies, templates)
        books[row, 1] = _add_book(plan, supplies, templates, pivot_s=pivot_s, successor=after)
    shard = np.where(rng.random(n) < says.sharding, 1 + rng.integers(0, _N_SHARDS, n), 0)
    turns = (rng.random(n) < says.pivot).astype(np.int64)
    return books[shard, turns]


def _write(
    rng: np.random.Generator, plan: Plan, topics: Ints, size: int, supplies: Supplies
) -> Ints:
    return supplies.library.add_templates(
        mix(rng.integers(0, 2**63, size).astype(np.uint64)),
        topics[rng.integers(0, len(topics), size)],
        fixed=rng.integers(2, 5, size),
        payload=plan.behaviour.payload,
        slots=plan.behaviour.slots,
    )


def _add_book(
    plan: Plan,
    supplies: Supplies,
    templates: Ints,
    *,
    pivot_s: float = np.inf,
    successor: int = NOBODY,
) -> int:
    says = plan.behaviour
    books = supplies.library.add_books(
        low=templates[:1],
        size=len(templates),
        share=1 - says.cover,
        per_account=int(says.templates_per_account),
        words=says.paraphrase_words,
        sentences=says.paraphrase_sentences,
        by_account=says.paraphrase_by == "account",
        pivot_s=pivot_s,
        successor=successor,
    )
    return int(books[0])


def _route(rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies) -> pd.DataFrame:
    """Rent proxies cell by cell; return account, source, weight."""
    says = plan.behaviour
    routes = [
        _route_cell(rng, plan, np.flatnonzero(crew.cell == cell), supplies)
        for cell in np.unique(crew.cell)
    ]
    table = pd.concat(routes, ignore_index=True)
    total = says.residential + says.datacentre + says.vendor
    weight = table["weight"] / total * max(1 - says.slips - says.framing, 1e-6)
    return table.assign(weight=weight.where(~table["slip"], says.slips))


def _route_cell(
    rng: np.random.Generator, plan: Plan, crew: Ints, supplies: Supplies
) -> pd.DataFrame:
    says, network = plan.behaviour, supplies.network
    hold_s = hold_seconds(says.rotation)
    n_addresses = max(1, round(len(crew) / says.accounts_per_address))
    pools: list[tuple[int, float, bool]] = []
    if says.residential > 0:
        lines = rng.choice(network.n_lines, min(n_addresses, network.n_lines), replace=False)
        pools.append((network.add_relays(lines, hold_s), says.residential, False))
    if says.datacentre > 0:
        servers = network.add_pools("server", np.array([n_addresses]), hold_s)
        pools.append((int(servers[0]), says.datacentre, False))
    if says.vendor > 0:
        number = rng.integers(len(supplies.vendors)) if plan.vendor is None else plan.vendor
        rented = network.share_pool(int(supplies.vendors[number]), hold_s)
        pools.append((rented, says.vendor, False))
    if says.slips > 0:
        office = network.add_pools("office", np.array([1]), ALWAYS)
        pools.append((int(office[0]), says.slips, True))
    return pd.concat(
        [
            pd.DataFrame({"account": crew, "source": source, "weight": weight, "slip": slip})
            for source, weight, slip in pools
        ],
        ignore_index=True,
    )


def _frame(
    rng: np.random.Generator,
    plan: Plan,
    people: People,
    victims: Ints,
    supplies: Supplies,
) -> pd.DataFrame:
    """Give every account a seat on a victim's line with the victim's prompt."""
    n = plan.n_accounts if len(victims) else 0
    chosen = victims[rng.integers(0, max(len(victims), 1), n)]
    template = people.template[victims]
    own = template != NOBODY
    books = np.full(len(victims), FREE_BOOK, dtype=np.int64)
    books[own] = supplies.library.add_books(
        low=template[own], size=1, share=1 - plan.behaviour.cover
    )
    book_of = dict(zip(victims.tolist(), books.tolist(), strict=True))
    return pd.DataFrame(
        {
            "account": np.arange(n),
            "source": people.line[chosen],
            "weight": plan.behaviour.framing,
            "book": pd.Series(chosen).map(book_of).to_numpy(dtype=np.int64),
        }
    )


def _live(
    rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the lives, and the seats of the lives that bought accounts led before."""
    says, n = plan.behaviour, plan.n_accounts
    days = np.maximum(crew.end_s - crew.start_s, HOUR_S) / DAY_S
    effort = days * np.exp(0.3 * rng.standard_normal(n))
    total = plan.events or plan.events_per_day * float(days.sum())
    shift = rng.random(n) < says.shift
    everyday = np.where(rng.random(n) < 0.3, "machine", "leisure")
    schedule = np.where(shift, "shift", everyday)
    lives = make_lives(
        account=np.arange(n),
        start_s=crew.start_s,
        end_s=np.maximum(crew.end_s, crew.start_s + 1.0),
        events=total * effort / effort.sum(),
        session=1 + 5 * (1 - says.rotation) * rng.random(n),
        gap_s=8 + 40 * rng.random(n),
        schedule=np.array([SCHEDULES.index(name) for name in schedule], dtype=np.int64),
        offset_h=np.where(shift, _HIDEOUT_OFFSET_H, _OFFSETS[crew.country]),
        active=0.6 + 0.4 * rng.random(n),
        unit=plan.number,
        rank=rng.permutation(crew.n_places)[crew.place],
        n_ranks=crew.n_places,
        balance=says.load_balancing,
        sync=says.synchrony,
        queue=SCHEDULES.index("shift" if rng.random() < says.shift else "machine"),
        queue_offset_h=_HIDEOUT_OFFSET_H,
    )
    return _remember(rng, crew, supplies, lives)


def _remember(
    rng: np.random.Generator, crew: _Crew, supplies: Supplies, lives: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add what bought accounts did for their first owner, at that owner's home."""
    old = np.flatnonzero(crew.is_aged & (crew.start_s > 4 * DAY_S))
    n = len(old)
    before = make_lives(
        account=old,
        start_s=np.maximum(crew.created_s[old], 0.0),
        end_s=crew.start_s[old] - 2 * DAY_S,
        events=1 + 5 * rng.random(n),
        session=2.0,
        gap_s=60.0,
        schedule=SCHEDULES.index("leisure"),
        offset_h=_OFFSETS[crew.country[old]],
        active=0.5,
    )
    seats = make_seats(
        len(lives) + np.arange(n),
        supplies.spare_lines[rng.integers(0, len(supplies.spare_lines), n)],
        device=supplies.devices.take(n),
        client=draw_weighted(rng, supplies.clients.browser_share, n),
        book=FREE_BOOK,
        weight=1.0,
    )
    return pd.concat([lives, before], ignore_index=True), seats


def _pay(rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies) -> pd.DataFrame:
    says = plan.behaviour
    payers = np.flatnonzero(~crew.is_farmed)
    card = _share_out(rng, crew.cell[payers], says.accounts_per_card, supplies.cards)
    by_one = rng.random(len(payers)) < says.one_payer
    # Cells share nothing: each has its own paymaster.
    card[by_one] = supplies.cards.take(int(crew.cell.max()) + 1)[crew.cell[payers[by_one]]]
    virtual = spread_uniform(hash_keys(card, 71)) < says.virtual_cards
    seller = VIRTUAL_BINS + (plan.number + crew.cell[payers]) % N_SELLERS
    bins = np.where(virtual, seller, issue_bins(card, _card_countries(card, crew.country[payers])))
    payments = 1 + rng.poisson(1.0, len(payers))
    return pd.DataFrame({"account": payers, "card": card, "bin": bins, "payments": payments})


def _card_countries(card: Ints, country: Ints) -> Ints:
    """Return one country for each card, that of its first account."""
    _, first, inverse = np.unique(card, return_index=True, return_inverse=True)
    return country[first][inverse] if len(card) else country


def _register(
    rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies
) -> pd.DataFrame:
    says, n = plan.behaviour, plan.n_accounts
    domain, style, series = _make_mail(rng, plan, crew, supplies)
    return pd.DataFrame(
        {
            "role": "operator",
            "group": [f"{plan.name}-cell-{cell}" for cell in crew.cell.tolist()],
            "operator": plan.name,
            "country": crew.country,
            "created_s": crew.created_s,
            "banned_s": crew.banned_s,
            "mail_style": style,
            "mail_domain": domain,
            "mail_series": series,
            "phone": _share_out(rng, crew.cell, says.accounts_per_phone, supplies.phones),
        },
        index=range(n),
    ).astype({"operator": "str", "group": "str", "role": "str"})


def _make_mail(
    rng: np.random.Generator, plan: Plan, crew: _Crew, supplies: Supplies
) -> tuple[Ints, Ints, Ints]:
    """Return mail domain, style and series of each account."""
    says, n = plan.behaviour, plan.n_accounts
    domain = draw_weighted(rng, MAIL_HOST_SHARES, n)
    patterned = rng.random(n) < says.mail_pattern
    own = np.flatnonzero((rng.random(n) < says.own_domain) & ~crew.is_aged)
    domain[own] = _share_out(rng, crew.cell[own], 40, _Domains(supplies))
    patterned[own] |= rng.random(len(own)) < 0.8
    if crew.is_farmed.any():
        names = make_names(1, seed=len(supplies.domains))
        school = supplies.add_domains([f"{names[0]}.edu.example"])
        domain[crew.is_farmed] = school[0]
    patterned &= ~crew.is_aged
    series = plan.number * 64 + crew.cell % 64
    return (
        domain,
        np.where(patterned, MACHINE_STYLE, rng.integers(0, 3, n)),
        np.where(patterned, series, NOBODY),
    )


class _Domains:
    """Hands out new mail domains."""

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies

    def take(self, n: int) -> Ints:
        names = make_names(n, seed=1000 + len(self._supplies.domains))
        first = len(self._supplies.domains)
        return self._supplies.add_domains([f"{w}{first + k}.example" for k, w in enumerate(names)])


def list_assets(part: Part) -> pd.DataFrame:
    """List what an operator could let to a reseller's customers.

    Parameters
    ----------
    part : Part
        An operator's.

    Returns
    -------
    DataFrame
        Columns source, card and bin; at most five rows.
    """
    seat = part.seats.loc[part.seats["life"] == 0, "source"]
    cards = part.cards[["card", "bin"]].drop_duplicates("card").head(5)
    return cards.assign(source=int(seat.iloc[0])) if len(seat) else cards.assign(source=[]).head(0)
