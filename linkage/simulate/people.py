"""Innocents: who they are, whom they live, study and work with, and what they share by chance."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from linkage.simulate.cast import (
    FREE_BOOK,
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
from linkage.simulate.clients import make_clients
from linkage.simulate.clock import COUNTRIES, DAY_S, HOUR_S, SCHEDULES
from linkage.simulate.draws import Bools, Floats, Ints, cut_groups, draw_heavy, draw_weighted, mix
from linkage.simulate.language import TOPICS, make_names
from linkage.simulate.network import Lines, Network, lay_lines
from linkage.simulate.world import World

__all__ = ["People", "attach_resellers", "cast_people", "settle"]

_OFFSETS: Final = np.array([offset for offset, _ in COUNTRIES.values()])
_SHARES: Final = np.array([share for _, share in COUNTRIES.values()])
_FEW_CARDS: Final = 0.61  # share of payers with one card (a real marketplace, 2019)
_TWO_USERS: Final = 0.031 / 0.967  # cards with two users per card with one, in the same set
_MORE_USERS: Final = 0.002 / 0.967
_MAX_CARDS: Final = 20
_STRANGERS: Final = 0.5  # home lines without a customer per line with one

ROLES: Final = (
    "solo", "household", "office", "campus", "agency", "ci_runner", "hackathon",
    "reseller_customer",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """The innocents before they act: row = account."""

    role: Ints  # position in ROLES
    group: Ints  # number within the role, NOBODY for none
    country: Ints  # position in COUNTRIES
    line: Ints  # home line
    created_s: Floats  # seconds since the world's start; negative for most
    device: Ints  # the main one
    client: Ints  # the main browser
    book: Ints  # prompts of their own
    template: Ints  # a prompt that they send again and again, NOBODY for none

    def of(self, role: str) -> Ints:
        """Return the accounts of a role that are in a group of it, or need none."""
        number = ROLES.index(role)
        return np.flatnonzero(self.role == number)


def settle(rng: np.random.Generator, world: World) -> tuple[People, Supplies]:
    """Give every innocent a country, a group, a home, a device and habits.

    Parameters
    ----------
    rng : numpy.random.Generator
    world : World

    Returns
    -------
    people : People
    supplies : Supplies
        With the home lines laid and the proxy vendors open.
    """
    n = world.innocents.accounts
    role, group = _assign_groups(rng, world)
    country = _draw_countries(rng, world, role, group)
    home = _find_homes(role, group)
    lines, spare = _lay_all_lines(rng, world, home, country)
    looks = world.lookalikes
    clients = make_clients(looks.tools.tools, looks.ci_runners.actions)
    network = Network(lines)
    supplies = Supplies(
        network=network,
        clients=clients,
        vendors=_open_vendors(rng, world, network),
        spare_lines=spare,
    )
    template, book = _draw_habits(rng, world, supplies)
    people = People(
        role=role,
        group=group,
        country=country,
        line=home,
        created_s=_draw_creation(rng, world, role, group),
        device=supplies.devices.take(n),
        client=draw_weighted(rng, clients.browser_share, n),
        book=book,
        template=template,
    )
    return people, supplies


def _assign_groups(rng: np.random.Generator, world: World) -> tuple[Ints, Ints]:
    n = world.innocents.accounts
    looks = world.lookalikes
    role = np.zeros(n, dtype=np.int64)
    group = np.full(n, NOBODY, dtype=np.int64)
    wanted = {
        "household": (looks.households.share, looks.households.size),
        "office": (looks.offices.share, looks.offices.size),
        "campus": (looks.campuses.share, looks.campuses.size),
        "agency": (looks.agencies.share, looks.agencies.size),
        "ci_runner": (looks.ci_runners.share, (1, 1)),
        "hackathon": (looks.hackathons.share, looks.hackathons.size),
        "reseller_customer": (looks.resellers.share, looks.resellers.size),
    }
    first = 0
    for name, (share, (smallest, largest)) in wanted.items():
        members = cut_groups(rng, round(share * n), smallest, largest)
        members = members[members >= 0]
        role[first : first + len(members)] = ROLES.index(name)
        group[first : first + len(members)] = members
        first += len(members)
    return role, group


def _key_groups(role: Ints, group: Ints, *names: str) -> tuple[Ints, Ints]:
    """Return the accounts of some roles, and a number that members of one group share."""
    chosen = np.flatnonzero(np.isin(role, [ROLES.index(name) for name in names]))
    key = role[chosen] * (int(group.max(initial=0)) + 1) + group[chosen]
    return chosen, np.unique(key, return_inverse=True)[1]


def _draw_countries(rng: np.random.Generator, world: World, role: Ints, group: Ints) -> Ints:
    if world.innocents.country is not None:
        only = list(COUNTRIES).index(world.innocents.country)
        return np.full(len(role), only, dtype=np.int64)
    country = draw_weighted(rng, _SHARES, len(role))
    together, key = _key_groups(role, group, "household", "office", "campus", "agency", "hackathon")
    country[together] = draw_weighted(rng, _SHARES, int(key.max(initial=-1)) + 1)[key]
    return country


def _find_homes(role: Ints, group: Ints) -> Ints:
    home = np.arange(len(role))
    family, key = _key_groups(role, group, "household")
    first = np.full(int(key.max(initial=-1)) + 1, len(role), dtype=np.int64)
    np.minimum.at(first, key, family)
    home[family] = first[key]
    return np.unique(home, return_inverse=True)[1].astype(np.int64)


def _lay_all_lines(
    rng: np.random.Generator, world: World, home: Ints, country: Ints
) -> tuple[Lines, Ints]:
    """Lay the customers' lines, and those of others, which proxies and bought accounts use."""
    n_homes = int(home.max(initial=-1)) + 1
    n_bought = sum(operator.count * operator.accounts[1] for operator in world.operators)
    n_spare = 16 + int(_STRANGERS * n_homes) + n_bought
    line_country = np.zeros(n_homes + n_spare, dtype=np.int64)
    line_country[home] = country
    line_country[n_homes:] = draw_weighted(rng, _SHARES, n_spare)
    setting = world.innocents
    lines = lay_lines(rng, line_country, crowding=setting.crowding, ipv6=setting.ipv6)
    return lines, np.arange(n_homes, n_homes + n_spare)


def _open_vendors(rng: np.random.Generator, world: World, network: Network) -> Ints:
    users = world.lookalikes.proxy_users
    size = min(users.addresses, network.n_lines)
    pools = [
        network.add_relays(rng.choice(network.n_lines, size, replace=False), DAY_S)
        for _ in range(users.vendors)
    ]
    return np.array(pools)


def _draw_habits(rng: np.random.Generator, world: World, supplies: Supplies) -> tuple[Ints, Ints]:
    n = world.innocents.accounts
    keen = np.flatnonzero(rng.random(n) < world.innocents.habits)
    n_own = rng.integers(1, 4, len(keen))
    total = int(n_own.sum())
    numbers = supplies.library.add_templates(
        mix(rng.integers(0, 2**63, total).astype(np.uint64)),
        rng.integers(0, len(TOPICS), total),
        fixed=rng.integers(1, 4, total),
        payload=rng.integers(0, 3, total),
        slots=0.5 * rng.random(total),
    )
    low = numbers[np.cumsum(n_own) - n_own] if total else numbers
    books = supplies.library.add_books(low=low, size=n_own, share=0.1 + 0.4 * rng.random(len(keen)))
    template = np.full(n, NOBODY, dtype=np.int64)
    book = np.full(n, FREE_BOOK, dtype=np.int64)
    template[keen], book[keen] = low, books
    return template, book


def _draw_creation(rng: np.random.Generator, world: World, role: Ints, group: Ints) -> Floats:
    n, horizon_s = len(role), world.days * DAY_S
    # Most accounts are young: the service grew.
    created = -DAY_S * 900 * rng.random(n) ** 1.7
    new = rng.random(n) < world.innocents.new
    created[new] = horizon_s * rng.random(int(new.sum()))
    guests, key = _key_groups(role, group, "hackathon")
    opening = horizon_s * 0.9 * rng.random(int(key.max(initial=-1)) + 1)
    created[guests] = opening[key] + 3 * HOUR_S * rng.random(len(guests)) ** 2
    return created


def cast_people(rng: np.random.Generator, world: World, people: People, supplies: Supplies) -> Part:
    """Cast the innocents, the resellers' proxies and cards aside.

    Parameters
    ----------
    rng : numpy.random.Generator
    world : World
    people : People
    supplies : Supplies

    Returns
    -------
    Part
    """
    seats = [
        _seat_at_home(people),
        _seat_on_phones(rng, world, people, supplies),
        _seat_on_vpns(rng, world, people, supplies),
        _seat_on_vendors(rng, world, people, supplies),
        _seat_with_tools(rng, world, people, supplies),
        _seat_on_family_devices(rng, world, people, supplies),
        _seat_on_campus(world, people, supplies),
        _seat_on_runners(rng, world, people, supplies),
    ]
    office_seats, office_cards = _open_offices(rng, world, people, supplies)
    banned = _draw_bans(rng, world, people)
    lives, venue_seats = _live(rng, world, people, supplies, banned)
    return Part(
        accounts=_register(rng, world, people, supplies).assign(banned_s=banned),
        lives=lives,
        seats=pd.concat([*seats, office_seats, venue_seats], ignore_index=True),
        cards=pd.concat([_pay(rng, world, people, supplies), office_cards], ignore_index=True),
        episodes=pd.concat(
            [
                _hand_out_assignments(rng, world, people, supplies),
                _go_viral(rng, world, people, supplies),
                _start_hackathons(rng, people, supplies),
            ],
            ignore_index=True,
        ),
    )


def _choose(rng: np.random.Generator, share: float, accounts: Ints) -> Ints:
    return accounts[rng.random(len(accounts)) < share]


def _everybody(people: People) -> Ints:
    return np.arange(len(people.role))


def _seat_at_home(people: People) -> pd.DataFrame:
    # How much of their use people of each role have at home.
    weights = {"office": 0.3, "campus": 0.4, "agency": 0.05, "ci_runner": 0.2}
    weight = np.array([weights.get(name, 1.0) for name in ROLES])[people.role]
    return make_seats(
        _everybody(people),
        people.line,
        device=people.device,
        client=people.client,
        book=people.book,
        weight=weight,
    )


def _seat_on_phones(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.gateways
    users = _choose(rng, setting.share, _everybody(people))
    counts = np.bincount(people.country[users], minlength=len(COUNTRIES))
    sizes = np.maximum(1, np.round(counts / setting.users_per_address)).astype(np.int64)
    gateways = supplies.network.add_pools("carrier", sizes, 2 * HOUR_S)
    own = rng.random(len(users)) < 0.7
    device = np.where(own, supplies.devices.take(len(users)), people.device[users])
    client = draw_weighted(rng, supplies.clients.browser_share, len(users))
    return make_seats(
        users,
        gateways[people.country[users]],
        device=device,
        client=np.where(own, client, people.client[users]),
        book=people.book[users],
        weight=setting.weight,
    )


def _seat_on_vpns(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.vpns
    users = _choose(rng, setting.share, _everybody(people))
    sizes = np.full(setting.providers, setting.exits)
    exits = supplies.network.add_pools("server", sizes, 6 * HOUR_S)
    provider = draw_weighted(rng, 1 / np.arange(1, setting.providers + 1), len(users))
    return make_seats(
        users,
        exits[provider],
        device=people.device[users],
        client=people.client[users],
        book=people.book[users],
        weight=setting.weight,
    )


def _seat_on_vendors(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.proxy_users
    users = _choose(rng, setting.share, _everybody(people))
    pool = supplies.vendors[rng.integers(0, len(supplies.vendors), len(users))]
    return make_seats(
        users,
        pool,
        device=people.device[users],
        client=people.client[users],
        book=people.book[users],
        weight=setting.weight,
    )


def _seat_with_tools(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.tools
    users = _choose(rng, setting.share, _everybody(people))
    books = _publish(rng, supplies, setting.tools, share=0.85, slots=0.2, fixed=4)
    tool = draw_weighted(rng, 1 / np.arange(1, setting.tools + 1), len(users))
    return make_seats(
        users,
        people.line[users],
        device=NOBODY,
        client=supplies.clients.tool[tool],
        book=books[tool],
        weight=setting.weight,
    )


def _publish(
    rng: np.random.Generator,
    supplies: Supplies,
    n_books: int,
    *,
    share: float,
    slots: float,
    fixed: int,
) -> Ints:
    """Add books of one to three templates each, all from one hand."""
    n_own = rng.integers(1, 4, n_books)
    total = int(n_own.sum())
    numbers = supplies.library.add_templates(
        mix(rng.integers(0, 2**63, total).astype(np.uint64)),
        np.repeat(rng.integers(0, len(TOPICS), n_books), n_own),
        fixed=fixed,
        payload=rng.integers(1, 3, total),
        slots=slots,
    )
    low = numbers[np.cumsum(n_own) - n_own] if n_books else numbers
    return supplies.library.add_books(low=low, size=n_own, share=share)


def _seat_on_family_devices(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    family = people.of("household")
    n_families = int(people.group[family].max(initial=-1)) + 1
    tablets = supplies.devices.take(n_families)
    clients = draw_weighted(rng, supplies.clients.browser_share, n_families)
    users = _choose(rng, world.lookalikes.households.shared_device, family)
    group = people.group[users]
    return make_seats(
        users,
        people.line[users],
        device=tablets[group],
        client=clients[group],
        book=people.book[users],
        weight=0.5,
    )


def _seat_on_campus(world: World, people: People, supplies: Supplies) -> pd.DataFrame:
    students = people.of("campus")
    n_campuses = int(people.group[students].max(initial=-1)) + 1
    sizes = np.full(n_campuses, world.lookalikes.campuses.addresses)
    pools = supplies.network.add_pools("campus", sizes, 8 * HOUR_S)
    return make_seats(
        students,
        pools[people.group[students]],
        device=people.device[students],
        client=people.client[students],
        book=people.book[students],
        weight=1.0,
    )


def _seat_on_runners(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.ci_runners
    users = people.of("ci_runner")
    pool = supplies.network.add_pools("server", np.array([setting.addresses]), 0.0)
    books = _publish(rng, supplies, setting.actions, share=0.9, slots=0.15, fixed=3)
    action = draw_weighted(rng, 1 / np.arange(1, setting.actions + 1), len(users))
    return make_seats(
        users,
        np.full(len(users), pool[0]),
        device=NOBODY,
        client=supplies.clients.runner[action],
        book=books[action],
        weight=1.0,
    )


def _open_offices(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seat staff at offices and agencies, and let some of these pay for everybody."""
    staff, key = _key_groups(people.role, people.group, "office", "agency")
    n_firms = int(key.max(initial=-1)) + 1
    sizes = np.bincount(key, minlength=n_firms)
    pools = supplies.network.add_pools("office", 1 + sizes // 25, 12 * HOUR_S)
    books = _publish(
        rng, supplies, n_firms, share=world.lookalikes.offices.template, slots=0.3, fixed=3
    )
    is_agency = people.role[staff] == ROLES.index("agency")
    # An agency's few people share their machines; an office gives everybody one.
    machines = supplies.devices.take(2 * n_firms)[2 * key + rng.integers(0, 2, len(staff))]
    device = np.where(is_agency, machines, people.device[staff])
    seats = make_seats(
        staff, pools[key], device=device, client=people.client[staff], book=books[key], weight=1.0
    )
    pays = rng.random(n_firms) < world.lookalikes.offices.company_card
    pays[key[is_agency]] = True
    covered = pays[key]
    cards = supplies.cards.take(n_firms)[key[covered]]
    return seats, _make_cards(rng, staff[covered], cards, people.country[staff[covered]])


def _make_cards(rng: np.random.Generator, account: Ints, card: Ints, country: Ints) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account": account,
            "card": card,
            "bin": issue_bins(card, country),
            "payments": 1 + rng.poisson(0.9, len(account)),
        }
    )


def _draw_bans(rng: np.random.Generator, world: World, people: People) -> Floats:
    n, horizon_s = len(people.role), world.days * DAY_S
    gone = rng.random(n) < world.innocents.banned
    first = np.maximum(people.created_s, 0.0)
    return np.where(gone, first + (horizon_s - first) * (0.05 + 0.9 * rng.random(n)), np.nan)


def _live(
    rng: np.random.Generator,
    world: World,
    people: People,
    supplies: Supplies,
    banned: Floats,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return everybody's lives, and the seats of the lives at hackathons' venues."""
    setting, n = world.innocents, len(people.role)
    horizon_s = world.days * DAY_S
    end = np.where(rng.random(n) < 0.1, horizon_s * rng.random(n), horizon_s)
    start = np.maximum(people.created_s + 30.0, 0.0)
    end = np.maximum(end, np.minimum(start + HOUR_S, horizon_s))
    events = draw_heavy(rng, n, setting.events, setting.spread)
    session = 1 + (setting.session - 1) * rng.gamma(2.0, 0.5, n)
    lives = make_lives(
        account=np.arange(n),
        start_s=start,
        end_s=np.where(np.isnan(banned), end, np.minimum(end, banned)),
        events=events,
        # Whoever comes rarely does not stay long.
        session=np.clip(events / 3, 1.0, session),
        gap_s=20 + 120 * rng.random(n),
        schedule=_draw_schedules(rng, people),
        offset_h=_OFFSETS[people.country],
        active=0.1 + 0.85 * rng.random(n) ** 1.5,
    )
    return _visit_venues(people, supplies, lives)


def _draw_schedules(rng: np.random.Generator, people: People) -> Ints:
    fixed = {"office": "office", "agency": "office", "campus": "student", "ci_runner": "machine"}
    own = draw_weighted(rng, [0.6, 0.25, 0.1, 0.05, 0.0], len(people.role))
    given = np.array([SCHEDULES.index(fixed[r]) if r in fixed else NOBODY for r in ROLES])
    return np.where(given[people.role] == NOBODY, own, given[people.role])


def _visit_venues(
    people: People, supplies: Supplies, lives: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    guests = people.of("hackathon")
    n_venues = int(people.group[guests].max(initial=-1)) + 1
    pools = supplies.network.add_pools("office", np.full(n_venues, 2), DAY_S)
    visit = lives.iloc[guests].copy()
    leaves = np.minimum(visit["start_s"] + 36 * HOUR_S, lives["end_s"].max())
    leaves = np.minimum(leaves, visit["end_s"])
    visit = visit.assign(end_s=leaves, events=visit["events"] * 0.5 + 4, active=1.0)
    home = lives.copy()
    row = home.index[guests]
    home.loc[row, "start_s"] = leaves
    home.loc[row, "end_s"] = np.maximum(leaves, home.loc[row, "end_s"])
    home.loc[row, "events"] *= 0.5
    seats = make_seats(
        len(lives) + np.arange(len(guests)),
        pools[people.group[guests]],
        device=people.device[guests],
        client=people.client[guests],
        book=people.book[guests],
        weight=1.0,
    )
    return pd.concat([home, visit], ignore_index=True), seats


def _pay(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    """Let people pay with cards of their own, a few of which somebody else uses too."""
    private = ~np.isin(people.role, [ROLES.index("agency"), ROLES.index("reseller_customer")])
    payers = np.flatnonzero(private & (rng.random(len(private)) < world.innocents.paying))
    n_cards = np.where(
        rng.random(len(payers)) < _FEW_CARDS,
        1,
        np.minimum(1 + rng.geometric(0.6, len(payers)), _MAX_CARDS),
    )
    account = np.repeat(payers, n_cards)
    card = supplies.cards.take(len(account))
    drawn = rng.random(len(account))
    further = np.where(drawn < _MORE_USERS, rng.integers(2, 5, len(account)), 1)
    further[drawn >= _TWO_USERS + _MORE_USERS] = 0
    lent = np.repeat(np.arange(len(account)), further)
    user = _find_borrowers(rng, people, payers, account[lent])
    return _make_cards(
        rng,
        np.concatenate([account, user]),
        np.concatenate([card, card[lent]]),
        np.concatenate([people.country[account], people.country[account[lent]]]),
    ).drop_duplicates(["account", "card"])


def _find_borrowers(rng: np.random.Generator, people: People, payers: Ints, owner: Ints) -> Ints:
    if len(payers) == 0:
        return owner
    friend = payers[rng.integers(0, len(payers), len(owner))]
    mate = np.minimum(owner + 1, len(people.role) - 1)
    lives_with = (people.line[mate] == people.line[owner]) & (mate != owner)
    return np.where(lives_with, mate, friend)


def _hand_out_assignments(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting = world.lookalikes.campuses
    students = people.of("campus")
    classes = cut_groups(rng, len(students), *setting.class_size)
    n_classes = int(classes.max(initial=-1)) + 1
    tasks = supplies.library.add_templates(
        mix(rng.integers(0, 2**63, n_classes).astype(np.uint64)),
        TOPICS.index("study"),
        fixed=rng.integers(2, 5, n_classes),
        payload=1,
        slots=0.03,
    )
    week = DAY_S * 7
    start = np.maximum(world.days * DAY_S - week, 0) * rng.random(n_classes)
    member = classes >= 0
    return _make_episodes(
        students[member], tasks[classes[member]], start[classes[member]], week, setting.assignment
    )


def _make_episodes(
    account: Ints, template: Ints, start_s: Floats, length_s: float, share: float
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account": account,
            "template": template,
            "start_s": start_s,
            "end_s": start_s + length_s,
            "share": share,
        }
    )


def _go_viral(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    setting, n = world.lookalikes.viral, len(people.role)
    prompts = supplies.library.add_templates(
        mix(rng.integers(0, 2**63, setting.prompts).astype(np.uint64)),
        rng.integers(0, len(TOPICS), setting.prompts),
        fixed=rng.integers(2, 4, setting.prompts),
        payload=0,
        slots=0.04,
    )
    start = world.days * DAY_S * rng.random(setting.prompts)
    fans = [_choose(rng, setting.share, np.arange(n)) for _ in range(setting.prompts)]
    which = np.repeat(np.arange(setting.prompts), [len(group) for group in fans])
    account = np.concatenate([np.zeros(0, dtype=np.int64), *fans])
    return _make_episodes(account, prompts[which], start[which], setting.days * DAY_S, 0.5)


def _start_hackathons(rng: np.random.Generator, people: People, supplies: Supplies) -> pd.DataFrame:
    guests = people.of("hackathon")
    n_venues = int(people.group[guests].max(initial=-1)) + 1
    starters = supplies.library.add_templates(
        mix(rng.integers(0, 2**63, n_venues).astype(np.uint64)),
        TOPICS.index("code"),
        fixed=3,
        payload=1,
        slots=0.1,
    )
    group = people.group[guests]
    return _make_episodes(guests, starters[group], people.created_s[guests], 36 * HOUR_S, 0.5)


def _register(
    rng: np.random.Generator, world: World, people: People, supplies: Supplies
) -> pd.DataFrame:
    n, setting = len(people.role), world.innocents
    domain = draw_weighted(rng, MAIL_HOST_SHARES, n)
    style = rng.integers(0, 3, n)
    for name, suffix, share in (
        ("office", "example", 0.85), ("agency", "example", 1.0), ("campus", "edu.example", 0.8),
    ):  # fmt: skip
        own = _choose(rng, share, people.of(name))
        n_groups = int(people.group[own].max(initial=-1)) + 1
        names = make_names(n_groups, seed=len(supplies.domains))
        domains = supplies.add_domains([f"{word}-{k}.{suffix}" for k, word in enumerate(names)])
        domain[own] = domains[people.group[own]]
        style[own] = people.group[own] % 3
    phone = np.where(rng.random(n) < setting.phone, supplies.phones.take(n), NOBODY)
    phone = _share_phones(rng, people, phone)
    return pd.DataFrame(
        {
            "role": np.array(ROLES)[people.role],
            "group": _name_groups(people),
            "operator": None,
            "country": people.country,
            "created_s": people.created_s,
            "banned_s": np.nan,
            "mail_style": style,
            "mail_domain": domain,
            "mail_series": NOBODY,
            "phone": phone,
        }
    ).astype({"operator": "str", "group": "str"})


def _share_phones(rng: np.random.Generator, people: People, phone: Ints) -> Ints:
    family = people.of("household")
    mate = np.maximum(family - 1, 0)
    same = (people.line[mate] == people.line[family]) & (rng.random(len(family)) < 0.15)
    shared = phone.copy()
    shared[family[same]] = phone[mate[same]]
    return shared


def _name_groups(people: People) -> pd.Series:
    lonely: Bools = (people.group == NOBODY) | (people.role == ROLES.index("ci_runner"))
    names = pd.Series(np.array(ROLES)[people.role]) + "-" + pd.Series(people.group).astype(str)
    return names.mask(lonely, None)


def attach_resellers(
    rng: np.random.Generator,
    world: World,
    people: People,
    supplies: Supplies,
    assets: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Carry resellers' customers over proxies and cards, an operator's or the reseller's own.

    Parameters
    ----------
    rng : numpy.random.Generator
    world : World
    people : People
    supplies : Supplies
    assets : DataFrame
        Operators' ``source``, ``card`` and ``bin``; may be empty.

    Returns
    -------
    seats, cards : DataFrame
        To be added to the innocents' part.
    """
    customers = people.of("reseller_customer")
    group = people.group[customers]
    n_resellers = int(group.max(initial=-1)) + 1
    source = supplies.network.add_pools("server", np.full(n_resellers, 8), DAY_S)
    card = supplies.cards.take(n_resellers)
    bins = VIRTUAL_BINS + np.arange(n_resellers) % N_SELLERS
    if len(assets):
        bound = rng.random(n_resellers) < world.lookalikes.resellers.of_operator
        pick = rng.integers(0, len(assets), n_resellers)
        source = np.where(bound, assets["source"].to_numpy()[pick], source)
        card = np.where(bound, assets["card"].to_numpy()[pick], card)
        bins = np.where(bound, assets["bin"].to_numpy()[pick], bins)
    seats = make_seats(
        customers,
        source[group],
        device=people.device[customers],
        client=people.client[customers],
        book=people.book[customers],
        weight=2.0,
    )
    cards = _make_cards(rng, customers, card[group], people.country[customers])
    return seats, cards.assign(bin=bins[group])
