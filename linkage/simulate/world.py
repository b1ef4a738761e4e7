"""Worlds: what an analyst writes into a TOML file, as frozen and checked settings.

A world is its innocents, the look-alikes among them, the networks that they use, and operators.
An operator's behaviours come from its evasion level; what the file says about it stands above.
"""

import dataclasses
import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

from linkage.errors import ConfigError, MissingInputError
from linkage.simulate.clock import COUNTRIES
from linkage.simulate.intensities import turn_up

__all__ = [
    "LEVELS",
    "PRESETS",
    "Agencies",
    "Behaviour",
    "Campuses",
    "CiRunners",
    "Gateways",
    "Hackathons",
    "Households",
    "Innocents",
    "LookAlikes",
    "Offices",
    "Operator",
    "ProxyUsers",
    "Resellers",
    "Tools",
    "Viral",
    "Vpns",
    "World",
    "load_preset",
    "load_world",
]

PRESETS: Final = ("demo", "medium", "quiet", "seed", "small")

_T = TypeVar("_T")


def _check_range(settings: object, low: float, high: float, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not low <= value <= high:
            upper = "" if high == float("inf") else f" and at most {high:g}"
            raise ConfigError(
                f"{type(settings).__name__}.{name} must be at least {low:g}{upper}; got {value!r}"
            )


def _check_sizes(settings: object, smallest: int, name: str = "size") -> None:
    low, high = getattr(settings, name)
    if not smallest <= low <= high:
        raise ConfigError(
            f"{type(settings).__name__}.{name} must be [smallest, largest] with "
            f"{smallest} <= smallest <= largest; got [{low!r}, {high!r}]"
        )


def _check_country(country: str | None) -> None:
    if country is not None and country not in COUNTRIES:
        raise ConfigError(_unknown("country", country, "", COUNTRIES))


def _unknown(what: str, name: str, where: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
    place = f" in [{where}]" if where else ""
    return f"unknown {what} {name!r}{place}; {hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Innocents:
    """Customers who belong to no operator."""

    accounts: int = 1_000
    events: int = 20_000  # expected events of all of them together
    spread: float = 1.5  # standard deviation of the logarithm of an account's events
    session: float = 4.0  # mean events of one sitting
    new: float = 0.2  # share that signs up while the world runs
    paying: float = 0.45  # share that pays with a card of its own
    phone: float = 0.6  # share that gives a phone number
    habits: float = 0.25  # share with prompts of their own that they send again and again
    ipv6: float = 0.25  # share of home lines on IPv6
    crowding: float = 0.35  # home lines per address of an access network; a third has no customer
    banned: float = 0.004  # share banned for reasons of their own
    country: str | None = None  # all live here; None for the mixture of clock.COUNTRIES

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, float("inf"), "accounts", "events", "spread")
        _check_range(self, 1, float("inf"), "session")
        _check_range(self, 0, 1, "new", "paying", "phone", "habits", "ipv6", "banned")
        _check_range(self, 0.004, 1, "crowding")
        _check_country(self.country)


@dataclass(frozen=True, slots=True, kw_only=True)
class Households:
    """Families on one line, some with a shared tablet or card."""

    share: float = 0.10  # of the innocents
    size: tuple[int, int] = (2, 5)  # accounts
    shared_device: float = 0.3  # share of members who also use the family's device

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share", "shared_device")
        _check_sizes(self, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offices:
    """Companies: one NAT, one domain, an internal tool's prompt, often one card."""

    share: float = 0.08  # of the innocents
    size: tuple[int, int] = (4, 60)  # accounts
    company_card: float = 0.6  # share of offices that pay for everybody
    template: float = 0.3  # share of events at work that go through the internal tool

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share", "company_card", "template")
        _check_sizes(self, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campuses:
    """Universities: thousands behind a few addresses; classes that get the same assignment."""

    share: float = 0.06  # of the innocents
    size: tuple[int, int] = (100, 3_000)  # accounts
    addresses: int = 6  # of one campus
    class_size: tuple[int, int] = (15, 60)  # accounts
    assignment: float = 0.4  # share of a class's events in its week that are the assignment

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share", "assignment")
        _check_range(self, 1, 60_000, "addresses")
        _check_sizes(self, 2)
        _check_sizes(self, 2, "class_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """Mobile carriers: strangers behind one public address."""

    share: float = 0.35  # of the innocents
    users_per_address: int = 100  # customers of the provider
    weight: float = 0.4  # of sittings on the phone against one at home

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 1, float("inf"), "users_per_address")
        _check_range(self, 0, 100, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpns:
    """Commercial VPNs: strangers of all countries behind a provider's exits."""

    share: float = 0.06  # of the innocents
    providers: int = 4
    exits: int = 24  # addresses of one provider
    weight: float = 0.8  # of sittings over the VPN against one at home

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 1, 10_000, "providers", "exits")
        _check_range(self, 0, 100, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUsers:
    """Innocents who rent addresses from the same proxy vendors as operators."""

    share: float = 0.01  # of the innocents
    vendors: int = 3
    addresses: int = 300  # of one vendor's pool
    weight: float = 2.0  # of sittings over the proxy against one at home

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 1, 1_000, "vendors")
        _check_range(self, 1, 20_000, "addresses")
        _check_range(self, 0, 100, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Popular open-source tools: one prompt template and one client, thousands of strangers."""

    share: float = 0.15  # of the innocents
    tools: int = 6
    weight: float = 0.8  # of sittings with the tool against one without

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 1, 10_000, "tools")
        _check_range(self, 0, 100, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Viral:
    """Prompts that go round: thousands of strangers copy one within a few days."""

    prompts: int = 6
    share: float = 0.02  # of the innocents, for each prompt
    days: float = 4.0  # that a prompt goes round

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 0, 10_000, "prompts")
        _check_range(self, 0.1, 1_000, "days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agencies:
    """Small firms that run an account for each of their clients, openly."""

    share: float = 0.01  # of the innocents
    size: tuple[int, int] = (3, 15)  # accounts

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share")
        _check_sizes(self, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CiRunners:
    """Build jobs of strangers on a cloud's hosted runners, day and night."""

    share: float = 0.01  # of the innocents
    addresses: int = 120  # of the hosted runners
    actions: int = 4  # popular build steps, each with its prompt template

    def __post_init__(self) -> None:
        """Refuse impossible shares."""
        _check_range(self, 0, 1, "share")
        _check_range(self, 1, 10_000, "addresses", "actions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hackathons:
    """Sign-ups within hours, at one venue, with one starter prompt; then everybody goes home."""

    share: float = 0.01  # of the innocents
    size: tuple[int, int] = (20, 120)  # accounts

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share")
        _check_sizes(self, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resellers:
    """Customers of a reseller: its card pays for them and its proxies carry them."""

    share: float = 0.005  # of the innocents
    size: tuple[int, int] = (10, 60)  # customers of one reseller
    of_operator: float = 0.5  # chance that a reseller is an operator's side business

    def __post_init__(self) -> None:
        """Refuse impossible shares and sizes."""
        _check_range(self, 0, 1, "share", "of_operator")
        _check_sizes(self, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikes:
    """Innocents who look linked, and are; a share of 0 switches one off."""

    households: Households = field(default_factory=Households)
    offices: Offices = field(default_factory=Offices)
    campuses: Campuses = field(default_factory=Campuses)
    gateways: Gateways = field(default_factory=Gateways)
    vpns: Vpns = field(default_factory=Vpns)
    proxy_users: ProxyUsers = field(default_factory=ProxyUsers)
    tools: Tools = field(default_factory=Tools)
    viral: Viral = field(default_factory=Viral)
    agencies: Agencies = field(default_factory=Agencies)
    ci_runners: CiRunners = field(default_factory=CiRunners)
    hackathons: Hackathons = field(default_factory=Hackathons)
    resellers: Resellers = field(default_factory=Resellers)

    def __post_init__(self) -> None:
        """Refuse groups that hold more than everybody."""
        total = sum(
            group.share
            for group in (
                self.households, self.offices, self.campuses, self.agencies, self.ci_runners,
                self.hackathons, self.resellers,
            )
        )  # fmt: skip
        if total > 1:
            raise ConfigError(
                "the shares of households, offices, campuses, agencies, ci_runners, hackathons "
                f"and resellers must add up to at most 1; got {total:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What an operator does; shares lie between 0 (never) and 1 (always)."""

    residential: float = 0.0  # weight of its own residential proxies: home lines of innocents
    datacentre: float = 1.0  # weight of its own rented servers
    vendor: float = 0.0  # weight of a vendor's pool that other operators and innocents rent too
    accounts_per_address: float = 25.0  # in its own pools
    rotation: float = 0.2  # 0: an account keeps its address; 1: a new one for every request
    slips: float = 0.0  # share of sittings that come from the operator's own office
    accounts_per_card: float = 8.0
    one_payer: float = 0.0  # share of accounts that one card pays for
    virtual_cards: float = 0.5  # share of cards that a virtual-card seller issued
    device_reuse: float = 0.5  # share of accounts on a device that others use
    accounts_per_device: float = 6.0  # on reused devices
    client_diversity: float = 0.0  # share of accounts that show a client as strangers do
    templates: int = 8  # prompt templates
    templates_per_account: int = 4  # that one account uses; 0 for all
    slots: float = 0.25  # share of a template's content words that change with every event
    payload: int = 1  # sentences of fresh material in every event
    paraphrase_words: float = 0.0  # share of a template's words that are replaced
    paraphrase_sentences: float = 0.0  # share of a template's sentences that are reworded
    paraphrase_by: str = "event"  # a new wording for every "event", or one for each "account"
    cover: float = 0.1  # share of events that are no work but look like anybody's
    aged: float = 0.0  # share of accounts bought from others, dormant, then active
    stagger: float = 0.2  # 0: all sign up within two hours; 1: over months
    cells: int = 1  # parts that share no address, card, device or mail domain
    bans: float = 0.0  # mean accounts that follow each other in one place after bans
    successor_hours: float = 12.0  # from a ban to the successor's first event, at most
    load_balancing: float = 0.0  # share of account days on which requests go round robin
    synchrony: float = 0.0  # share of sittings that start with one of the day's batches
    sharding: float = 0.0  # share of accounts that ask for one capability only
    pivot: float = 0.0  # share of accounts that change to new templates within 24 hours
    pivot_day: float = 0.5  # when, as a share of the campaign
    farming: float = 0.0  # share of accounts that live off a student programme's free credits
    framing: float = 0.0  # share of sittings on chosen innocents' addresses with their prompts
    framed: int = 5  # innocents chosen to be framed
    flooding: float = 0.0  # share of accounts that are placed in one small country
    flood_country: str = "EE"
    own_domain: float = 0.3  # share of addresses on the operator's own mail domains
    mail_pattern: float = 0.5  # share of the others that follow the operator's pattern
    accounts_per_phone: float = 3.0
    shift: float = 0.5  # share of accounts that work the operator's hours, not their country's

    def __post_init__(self) -> None:
        """Refuse intensities outside of their range."""
        _check_range(
            self, 0, 1, "rotation", "slips", "one_payer", "virtual_cards", "device_reuse",
            "client_diversity", "slots", "paraphrase_words", "paraphrase_sentences", "cover",
            "aged", "stagger", "load_balancing", "synchrony", "sharding", "pivot", "pivot_day",
            "farming", "framing", "flooding", "own_domain", "mail_pattern", "shift",
        )  # fmt: skip
        _check_range(self, 0, float("inf"), "residential", "datacentre", "vendor", "bans")
        _check_range(
            self, 1, float("inf"), "accounts_per_address", "accounts_per_card",
            "accounts_per_device", "accounts_per_phone", "templates", "cells", "framed",
        )  # fmt: skip
        _check_range(self, 0, 24 * 30, "successor_hours")
        _check_range(self, 0, 8, "payload")
        _check_range(self, 0, float("inf"), "templates_per_account")
        if self.residential + self.datacentre + self.vendor <= 0:
            raise ConfigError("one of residential, datacentre and vendor must be above 0")
        if self.paraphrase_by not in ("event", "account"):
            raise ConfigError(
                f"paraphrase_by must be 'event' or 'account'; got {self.paraphrase_by!r}"
            )
        _check_country(self.flood_country)


LEVELS: Final[tuple[Behaviour, ...]] = (
    Behaviour(  # 0: takes no care at all
        accounts_per_address=40, rotation=0.0, slips=0.02, accounts_per_card=30,
        virtual_cards=0.2, device_reuse=0.9, accounts_per_device=15, templates=2,
        templates_per_account=0, slots=0.1, cover=0.0, stagger=0.0, synchrony=0.5,
        own_domain=0.8, mail_pattern=0.9, accounts_per_phone=8, shift=1.0,
    ),
    Behaviour(  # 1: residential proxies, eight accounts a card
        residential=0.8, datacentre=0.2, accounts_per_address=15, rotation=0.2, slips=0.01,
        accounts_per_card=8, device_reuse=0.6, accounts_per_device=6, templates=6,
        templates_per_account=0, cover=0.05, stagger=0.1, load_balancing=0.3, synchrony=0.2,
        own_domain=0.5, mail_pattern=0.7, shift=0.8,
    ),
    Behaviour(  # 2: fewer accounts a card, many templates, first bans
        residential=0.9, datacentre=0.1, accounts_per_address=10, rotation=0.35, slips=0.004,
        accounts_per_card=4, virtual_cards=0.7, device_reuse=0.35, accounts_per_device=4,
        client_diversity=0.3, templates=10, templates_per_account=5, paraphrase_words=0.08,
        paraphrase_sentences=0.1, cover=0.15, aged=0.05, stagger=0.3, bans=0.2,
        load_balancing=0.4, synchrony=0.1, own_domain=0.3, mail_pattern=0.5,
        accounts_per_phone=2, shift=0.6,
    ),
    Behaviour(  # 3: two accounts a card, part of the traffic over a shared vendor
        residential=0.6, datacentre=0.05, vendor=0.35, accounts_per_address=6, rotation=0.5,
        slips=0.001, accounts_per_card=2, virtual_cards=0.8, device_reuse=0.15,
        accounts_per_device=3, client_diversity=0.6, templates=14, templates_per_account=5,
        paraphrase_words=0.18, paraphrase_sentences=0.2, cover=0.28, aged=0.12, stagger=0.55,
        bans=0.4, load_balancing=0.4, synchrony=0.05, own_domain=0.15, mail_pattern=0.35,
        accounts_per_phone=1.5, shift=0.4,
    ),
    Behaviour(  # 4: unique devices, everything over the shared vendor, successors
        residential=0.2, datacentre=0.0, vendor=0.8, accounts_per_address=4, rotation=0.65,
        accounts_per_card=1.2, virtual_cards=0.9, device_reuse=0.0, client_diversity=0.85,
        templates=18, templates_per_account=5, paraphrase_words=0.30, paraphrase_sentences=0.3,
        cover=0.40, aged=0.2, stagger=0.8, bans=0.7, load_balancing=0.3, own_domain=0.05,
        mail_pattern=0.2, accounts_per_phone=1.1, shift=0.25,
    ),
    Behaviour(  # 5: one card each, half of the traffic is cover
        residential=0.1, datacentre=0.0, vendor=0.9, accounts_per_address=2, rotation=0.8,
        accounts_per_card=1.0, virtual_cards=1.0, device_reuse=0.0, client_diversity=1.0,
        templates=24, templates_per_account=5, paraphrase_words=0.45, paraphrase_sentences=0.4,
        cover=0.50, aged=0.3, stagger=1.0, bans=1.0, load_balancing=0.2, own_domain=0.0,
        mail_pattern=0.1, accounts_per_phone=1.0, shift=0.1,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator, or `count` of them."""

    name: str = ""  # "" for a number
    accounts: tuple[int, int] = (50, 50)  # smallest and largest, log-uniform; successors included
    count: int = 1
    events: int = 0  # expected events of all accounts; 0 for `events_per_day`
    events_per_day: float = 12.0  # of an account that is active
    start: float = 0.0  # day on which the campaign begins
    days: float = 0.0  # that it lasts; 0 for the rest of the world
    evasion: int | None = None  # level of this operator; None for the world's
    vendor: int | None = None  # which proxy vendor; None for a random one
    intensity: Mapping[str, float] = field(default_factory=dict)  # 0..1, over the level
    behaviour: Mapping[str, Any] = field(default_factory=dict)  # over level and intensities

    def __post_init__(self) -> None:
        """Refuse impossible sizes and unknown behaviours."""
        _check_sizes(self, 2, "accounts")
        _check_range(self, 1, 100_000, "count")
        _check_range(self, 0, float("inf"), "events", "events_per_day", "start", "days")
        if self.evasion is not None:
            _check_range(self, 0, len(LEVELS) - 1, "evasion")
        if self.vendor is not None:
            _check_range(self, 0, float("inf"), "vendor")
        self.resolve(0)

    def resolve(self, evasion: int) -> Behaviour:
        """Return the behaviour at a level, with what this operator says about itself on top."""
        turned = _merge(LEVELS[evasion], turn_up(self.intensity), "operators.intensity")
        return _merge(turned, self.behaviour, "operators.behaviour")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a world is made from, the seed aside."""

    start: dt.date = dt.date(2026, 4, 22)
    days: int = 45
    evasion: int = 3  # level of operators that name none
    innocents: Innocents = field(default_factory=Innocents)
    lookalikes: LookAlikes = field(default_factory=LookAlikes)
    operators: tuple[Operator, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a world without days, people or level."""
        _check_range(self, 1, 1_000, "days")
        _check_range(self, 0, len(LEVELS) - 1, "evasion")
        if self.innocents.accounts == 0 and not self.operators:
            raise ConfigError("a world needs innocents.accounts above 0, or operators")
        vendors = self.lookalikes.proxy_users.vendors
        for operator in self.operators:
            if operator.start >= self.days:
                raise ConfigError(
                    f"operators.start must lie within the {self.days} days of the world; "
                    f"got {operator.start:g}"
                )
            if operator.vendor is not None and operator.vendor >= vendors:
                raise ConfigError(
                    f"operators.vendor must be below lookalikes.proxy_users.vendors, {vendors}; "
                    f"got {operator.vendor}"
                )

    def at_evasion(self, evasion: int) -> "World":
        """Return the same world with every operator at one evasion level.

        Parameters
        ----------
        evasion : int
            0 to 5. What the file says about single behaviours stays.

        Returns
        -------
        World

        Raises
        ------
        ConfigError
            If there is no such level.
        """
        operators = tuple(replace(operator, evasion=None) for operator in self.operators)
        return replace(self, evasion=evasion, operators=operators)

    def to_dict(self) -> dict[str, Any]:
        """Return the world as plain dicts, lists, texts and numbers."""
        plain = dataclasses.asdict(self)
        return {**plain, "start": self.start.isoformat(), "operators": list(plain["operators"])}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> "World":
        """Build a world from what a TOML file says.

        Parameters
        ----------
        said : mapping
            Tables and numbers by name; whatever is not said has its default.

        Returns
        -------
        World

        Raises
        ------
        ConfigError
            If a name is unknown, or a value has the wrong type or lies out of range.

        Examples
        --------
        >>> world = World.from_dict({"operators": [{"accounts": 12, "evasion": 4}]})
        >>> world.operators[0].resolve(4).cover
        0.4
        """
        return _merge(cls(), said, "")


def load_preset(name: str) -> World:
    """Read a world that ships with linkage.

    Parameters
    ----------
    name : str
        One of `PRESETS`.

    Returns
    -------
    World

    Raises
    ------
    ConfigError
        If there is no such preset.

    Examples
    --------
    >>> load_preset("quiet").operators
    ()
    """
    if name not in PRESETS:
        raise ConfigError(_unknown("preset", name, "", PRESETS))
    text = (resources.files("linkage.simulate") / "presets" / f"{name}.toml").read_text("utf-8")
    return World.from_dict(tomllib.loads(text))


def load_world(path: str | Path) -> World:
    """Read a world from a TOML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    World

    Raises
    ------
    MissingInputError
        If there is no such file.
    ConfigError
        If the file is no TOML, or says something unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"there is no world file {str(path)!r}")
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is no TOML file: {error}") from error
    return World.from_dict(said)


def _merge(settings: _T, said: object, where: str) -> _T:
    """Return the settings with what was said in place of the defaults."""
    if not isinstance(said, Mapping):
        raise ConfigError(f"[{where}] must be a table of settings; got {said!r}")
    known = {f.name: f for f in fields(settings)}  # type: ignore[arg-type]
    changed = {}
    for name, value in said.items():
        if name not in known:
            raise ConfigError(_unknown("key", name, where, tuple(known)))
        place = f"{where}.{name}" if where else name
        changed[name] = _convert(getattr(settings, name), known[name].type, value, place)
    return replace(settings, **changed)  # type: ignore[type-var]


def _convert(old: object, annotation: Any, value: object, where: str) -> object:
    if where == "operators":
        return _read_operators(value)
    if where in ("operators.behaviour", "operators.intensity") and isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(old):
        return _merge(old, value, where)
    if get_origin(annotation) is tuple:
        return _read_sizes(value, where)
    kinds = get_args(annotation) or (annotation,)
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
        raise ConfigError(f"{where} must be of type {names}; got {value!r}")
    return value


def _read_sizes(value: object, where: str) -> tuple[int, int]:
    pair = [value, value] if type(value) is int else value
    if not (
        isinstance(pair, list | tuple) and len(pair) == 2 and all(type(n) is int for n in pair)
    ):
        raise ConfigError(f"{where} must be a whole number or [smallest, largest]; got {value!r}")
    return pair[0], pair[1]


def _read_operators(value: object) -> tuple[Operator, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"operators must be a list of tables, [[operators]]; got {value!r}")
    return tuple(_merge(Operator(), said, "operators") for said in value)
