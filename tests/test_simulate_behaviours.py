"""Each behaviour and each look-alike changes the world in the way that it names."""

import re
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from linkage.simulate import World, simulate
from linkage.simulate.language import PATTERNS

OFF = ("households", "offices", "campuses", "gateways", "vpns", "proxy_users", "tools", "agencies",
       "ci_runners", "hackathons", "resellers")  # fmt: skip
DAYS = 12
PLAIN = {
    "datacentre": 1.0, "residential": 0.0, "vendor": 0.0, "rotation": 0.0, "slips": 0.0,
    "device_reuse": 0.0, "accounts_per_card": 1.0, "accounts_per_phone": 1.0, "cover": 0.0,
    "stagger": 0.0, "own_domain": 0.0, "mail_pattern": 0.0, "templates": 4, "synchrony": 0.0,
    "templates_per_account": 0, "slots": 0.0, "payload": 0, "shift": 0.0, "virtual_cards": 0.0,
    "client_diversity": 0.0, "paraphrase_words": 0.0, "paraphrase_sentences": 0.0, "aged": 0.0,
    "bans": 0.0, "load_balancing": 0.0,
}  # fmt: skip


def make(tmp_path_factory, innocents=None, lookalikes=None, operators=()):
    """Make a tiny world in which only what is named differs from plain."""
    looks: dict[str, Mapping[str, object]] = {name: {"share": 0.0} for name in OFF}
    looks["viral"] = {"prompts": 0}
    said = {
        "days": DAYS,
        "innocents": {"accounts": 150, "events": 900, "habits": 0.0, **(innocents or {})},
        "lookalikes": {**looks, **(lookalikes or {})},
        "operators": [
            {"accounts": 40, "events": 1_600, "evasion": 0, **operator} for operator in operators
        ],
    }
    made = simulate(tmp_path_factory.mktemp("world"), world=World.from_dict(said), seed=3)
    accounts = pd.read_parquet(made.accounts)
    truth = pd.read_parquet(made.truth)
    events = pd.read_parquet(made.events).merge(truth, on="account_id")
    return SimpleNamespace(
        accounts=accounts.merge(truth, on="account_id"),
        events=events,
        payments=pd.read_parquet(made.payments).merge(truth, on="account_id"),
        crew=events[events["role"] == "operator"],
    )


@pytest.fixture(scope="module")
def operate(tmp_path_factory):
    """Return a function: the world of one plain operator with some behaviours changed."""
    worlds = {}

    def run(innocents=None, lookalikes=None, **behaviour):
        key = repr((innocents, lookalikes, behaviour))
        if key not in worlds:
            operators = [{"behaviour": {**PLAIN, **behaviour}}]
            worlds[key] = make(tmp_path_factory, innocents, lookalikes, operators)
        return worlds[key]

    return run


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Return a function: a world of innocents in which one look-alike is switched on."""

    def run(innocents=None, **lookalikes):
        return make(tmp_path_factory, innocents, lookalikes)

    return run


def holders(table, value):
    """Accounts per value."""
    return table.groupby(value)["account_id"].nunique()


def crew_of(world, table):
    return getattr(world, table)[getattr(world, table)["role"] == "operator"]


# Operators ---------------------------------------------------------------------------------------


def test_datacentre_proxies_are_servers_that_no_innocent_uses(operate):
    world = operate(accounts_per_address=10)
    assert set(world.crew["ip"].str.split(".").str[0]) == {"198"}
    assert world.crew["ip"].nunique() == 4
    assert holders(world.crew, "ip").sum() == 40
    assert not set(world.crew["ip"]) & set(world.events.loc[world.events["role"] == "solo", "ip"])


def test_residential_proxies_are_home_lines(operate):
    world = operate(residential=1.0, datacentre=0.0, accounts_per_address=4)
    assert set(world.crew["ip"].str.split("[.:]").str[0]) <= {"240", "2001"}
    assert holders(world.crew, "ip").max() >= 3


def test_a_vendors_pool_is_shared_by_operators_and_innocents(tmp_path_factory):
    rents = {"behaviour": {**PLAIN, "datacentre": 0.0, "vendor": 1.0, "rotation": 0.5}, "vendor": 0}
    vendor = {"share": 0.2, "vendors": 1, "addresses": 5}
    world = make(tmp_path_factory, None, {"proxy_users": vendor}, [rents, rents])
    first, second = (set(group["ip"]) for _, group in world.crew.groupby("operator_id"))
    innocents = set(world.events.loc[world.events["role"] == "solo", "ip"])
    assert first & second
    assert first & second & innocents


def test_rotation_gives_an_account_more_addresses(operate):
    counts = [
        operate(rotation=rotation, accounts_per_address=1.0).crew.groupby("account_id")["ip"]
        .nunique().mean()
        for rotation in (0.0, 0.5, 1.0)
    ]  # fmt: skip
    assert counts[0] == 1
    assert counts[0] < counts[1] < counts[2]


def test_slips_come_from_one_office(operate):
    office = operate(slips=0.1).crew
    office = office[office["ip"].str.startswith("172.")]
    assert len(set(office["ip"])) == 1
    assert 0.05 < len(office) / 1_600 < 0.17


@pytest.mark.parametrize(("wanted", "cards"), [(1.0, 40), (2.0, 20), (8.0, 5), (40.0, 1)])
def test_cards_are_shared_as_said(operate, wanted, cards):
    payments = crew_of(operate(accounts_per_card=wanted), "payments")
    assert payments["payment_method"].nunique() == cards
    assert holders(payments, "payment_method").max() == 40 / cards


def test_one_payer_pays_for_many(operate):
    payments = crew_of(operate(one_payer=0.5), "payments")
    assert 12 <= holders(payments, "payment_method").max() <= 28


def test_virtual_cards_come_from_few_issuers(operate):
    bins = crew_of(operate(virtual_cards=1.0), "payments")["bin"]
    assert len(set(bins)) == 1
    assert bins.str.startswith("099").all()
    assert not crew_of(operate(), "payments")["bin"].str.startswith("099").any()


def test_devices_are_reused_as_said(operate):
    assert holders(operate().crew, "device_id").max() == 1
    reused = holders(operate(device_reuse=1.0, accounts_per_device=8).crew, "device_id")
    assert len(reused) == 5
    assert reused.max() == 8


def test_client_diversity_hides_the_house_client(operate):
    assert len(set(operate().crew["user_agent"])) == 1
    assert operate(client_diversity=1.0).crew["user_agent"].nunique() > 12


def test_without_slots_there_are_as_many_prompts_as_templates(operate):
    assert operate().crew["prompt"].str.lower().nunique() == 4
    assert operate(templates=30).crew["prompt"].str.lower().nunique() == 30


def test_an_account_uses_only_its_own_templates(operate):
    crew = operate(templates=30, templates_per_account=3).crew
    assert crew.groupby("account_id")["prompt"].nunique().max() <= 3
    assert crew["prompt"].str.lower().nunique() > 20


def test_slots_and_payload_change_with_every_event(operate):
    for name, value in (("slots", 0.3), ("payload", 1)):
        crew = operate(**{name: value}).crew
        assert crew["prompt"].nunique() > 0.95 * len(crew), name


def shingles(prompt):
    words = prompt.lower().replace(".", "").replace(",", "").split()
    return {tuple(words[k : k + 5]) for k in range(len(words) - 4)}


def mean_overlap(prompts):
    sets = [shingles(prompt) for prompt in prompts]
    pairs = [(sets[k], sets[k + 1]) for k in range(len(sets) - 1)]
    return np.mean([len(a & b) / max(1, min(len(a), len(b))) for a, b in pairs])


@pytest.mark.parametrize("name", ["paraphrase_words", "paraphrase_sentences"])
def test_paraphrase_leaves_less_in_common(operate, name):
    overlaps = [
        mean_overlap(operate(templates=1, **{name: share}).crew["prompt"].head(300))
        for share in (0.0, 0.15, 0.45)
    ]
    assert overlaps[0] == 1
    assert overlaps[0] > overlaps[1] > overlaps[2]


def test_paraphrase_by_account_keeps_an_accounts_wording(operate):
    crew = operate(templates=1, paraphrase_words=0.4, paraphrase_by="account").crew
    assert crew.groupby("account_id")["prompt"].nunique().max() == 1
    assert crew["prompt"].nunique() > 35


def test_cover_traffic_is_said_by_nobody_else(operate):
    crew = operate(cover=0.5).crew
    text = crew["prompt"].str.lower()
    once = text.map(text.value_counts()) == 1
    assert 0.4 < once.mean() < 0.6


def test_aged_accounts_are_old_and_have_a_life_before(operate):
    world = operate(aged=1.0, stagger=1.0, residential=1.0, datacentre=0.0)
    start = pd.Timestamp("2026-04-22", tz="UTC")
    created = crew_of(world, "accounts")["created_at"]
    assert (created < start - pd.Timedelta(days=89)).all()
    fresh = crew_of(operate(), "accounts")["created_at"]
    assert (fresh > start - pd.Timedelta(days=3)).all()


def test_bought_accounts_sleep_between_their_owners(tmp_path_factory):
    buys = {**PLAIN, "aged": 1.0}
    world = make(tmp_path_factory, operators=[{"start": 8.0, "events": 400, "behaviour": buys}])
    day = (world.crew["ts"] - pd.Timestamp("2026-04-22", tz="UTC")).dt.total_seconds() / 86_400
    before = world.crew[day < 8]
    assert len(before) > 30
    assert day[(day > 6) & (day < 8)].empty
    assert not before["ip"].str.startswith("198.").any()
    assert world.crew.loc[day >= 8, "ip"].str.startswith("198.").all()


def test_stagger_spreads_the_sign_ups(operate):
    spreads = [
        np.ptp(crew_of(operate(stagger=stagger), "accounts")["created_at"]) / pd.Timedelta(days=1)
        for stagger in (0.0, 0.4, 1.0)
    ]
    assert spreads[0] < 0.1
    assert 20 < spreads[1] < 40 < spreads[2]


def test_cells_share_nothing_but_what_they_ask(operate):
    shares = {"accounts_per_address": 5, "accounts_per_card": 5, "device_reuse": 1.0,
              "own_domain": 1.0, "accounts_per_phone": 4}  # fmt: skip
    world = operate(cells=4, **shares)
    assert world.crew["group_id"].nunique() == 4
    for table, column in (("events", "ip"), ("events", "device_id"), ("payments", "payment_method"),
                          ("accounts", "phone")):  # fmt: skip
        assert crew_of(world, table).groupby(column)["group_id"].nunique().max() == 1, column
    accounts = crew_of(world, "accounts")
    domain = accounts["email"].str.split("@").str[1]
    assert accounts.groupby(domain)["group_id"].nunique().max() == 1
    assert world.crew.groupby(world.crew["prompt"].str.lower())["group_id"].nunique().max() == 4


def test_a_banned_account_has_a_successor_within_the_time_said(operate):
    accounts = crew_of(operate(bans=1.5, successor_hours=6.0), "accounts")
    banned = accounts[["banned_at"]].dropna().sort_values("banned_at")
    assert 15 <= len(banned) <= 30
    born = accounts[["created_at"]].sort_values("created_at")
    heirs = pd.merge_asof(
        banned, born, left_on="banned_at", right_on="created_at", direction="forward"
    )
    assert (heirs["created_at"] - heirs["banned_at"] <= pd.Timedelta(hours=6)).all()
    assert (crew_of(operate(), "accounts")["status"] == "active").all()


def test_round_robin_evens_out_the_accounts(operate):
    even = operate(load_balancing=1.0).crew.groupby("account_id").size()
    uneven = operate().crew.groupby("account_id").size()
    assert even.std() / even.mean() < 0.6 * uneven.std() / uneven.mean()


def test_round_robin_visits_the_accounts_in_turn(operate):
    def share_of_turns(crew):
        """How often the last 20 requests came from 20 different accounts."""
        order = pd.factorize(crew["account_id"])[0]
        windows = np.lib.stride_tricks.sliding_window_view(order, 20)
        return np.mean([len(set(window)) >= 19 for window in windows.tolist()])

    assert share_of_turns(operate(load_balancing=1.0).crew) > 0.6
    assert share_of_turns(operate().crew) < 0.05


def test_batches_start_at_the_same_moments(operate):
    def busiest(crew):
        """Share of the events that fall into the six busiest ten minutes of their day."""
        counts = crew.groupby([crew["ts"].dt.date, crew["ts"].dt.floor("10min")]).size()
        return counts.groupby(level=0).nlargest(6).sum() / len(crew)

    assert busiest(operate(synchrony=1.0).crew) > 0.8
    assert busiest(operate().crew) < 0.5


def test_sharding_narrows_what_an_account_asks(operate):
    def prompts(crew):
        return crew.groupby("account_id")["prompt"].nunique().mean()

    assert prompts(operate(templates=15, sharding=1.0).crew) < 0.5 * prompts(
        operate(templates=15).crew
    )


def test_a_pivot_replaces_all_templates_within_a_day(operate):
    crew = operate(pivot=1.0, pivot_day=0.5).crew
    day = (crew["ts"] - pd.Timestamp("2026-04-22", tz="UTC")).dt.total_seconds() / 86_400
    text = crew["prompt"].str.lower()
    assert not set(text[day < 6]) & set(text[day > 7])
    assert set(text[(day > 6) & (day < 7)]) & set(text[day < 6])


def test_a_pivot_comes_when_it_is_said_to(operate):
    crew = operate(pivot=1.0, pivot_day=0.25).crew
    day = (crew["ts"] - pd.Timestamp("2026-04-22", tz="UTC")).dt.total_seconds() / 86_400
    text = crew["prompt"].str.lower()
    assert not set(text[day < 3]) & set(text[day > 4])
    assert set(text[day > 4.5]) == set(text[day > 6])


def test_farmed_accounts_pay_nothing_and_do_not_last(operate):
    world = operate(farming=1.0)
    assert crew_of(world, "payments").empty
    assert crew_of(world, "accounts")["email"].str.endswith(".edu.example").all()
    span = world.crew.groupby("account_id")["ts"].agg(np.ptp)
    assert span.max() <= pd.Timedelta(days=10)


def test_framed_innocents_are_seen_with_the_operator(operate):
    world = operate(innocents={"habits": 1.0, "ipv6": 0.0}, framing=0.3, framed=3)
    victims = world.events[world.events["role"] == "framed"]
    assert 1 <= victims["account_id"].nunique() <= 3
    assert set(world.accounts.loc[world.accounts["role"] == "framed", "operator_id"].isna()) == {
        True
    }
    abroad = world.crew[world.crew["ip"].isin(set(victims["ip"]))]
    assert 0.1 < len(abroad) / len(world.crew) < 0.45
    theirs = {s for prompt in victims["prompt"] for s in shingles(prompt)}
    copied = abroad["prompt"].map(lambda prompt: bool(shingles(prompt) & theirs))
    assert copied.mean() > 0.3


def test_flooding_fills_one_small_country(operate):
    accounts = operate(flooding=1.0, flood_country="UY").accounts
    there = accounts[accounts["country"] == "UY"]
    assert (there["role"] == "operator").mean() > 0.9
    assert len(there) >= 40


def test_own_domains_and_patterns_show_in_the_mail(operate):
    domains = crew_of(operate(own_domain=1.0), "accounts")["email"].str.split("@").str[1]
    assert len(set(domains)) == 1
    assert not domains.str.contains("mail").any()
    programs = (r"[a-z]+\d{4}", r"[a-z]+_[a-z]+_\d{3}", r"[0-9a-f]{10}")

    def share(world):
        """Share of the operator's addresses that one program could have made, at most."""
        local = crew_of(world, "accounts")["email"].str.split("@").str[0]
        return max(local.str.fullmatch(program).mean() for program in programs)

    assert share(operate(mail_pattern=1.0)) > 0.95
    assert share(operate()) < 0.5


def test_phones_are_shared_as_said(operate):
    assert crew_of(operate(accounts_per_phone=8.0), "accounts")["phone"].nunique() == 5


def test_a_shift_follows_the_operators_clock(operate):
    hours = operate(shift=1.0).crew["ts"].dt.hour
    night = hours.between(17, 22)  # one to six in the morning at UTC+8
    assert night.mean() < 0.06
    assert operate().crew["ts"].dt.hour.between(17, 22).mean() > 0.1


# Innocents ---------------------------------------------------------------------------------------


def test_leased_addresses_pass_from_one_customer_to_another(live):
    world = live({"accounts": 600, "events": 9_000, "crowding": 0.9, "ipv6": 0.0, "country": "US"})
    held = world.events.groupby(["ip", "account_id"])["ts"].agg(["min", "max"]).reset_index()
    held = held.sort_values(["ip", "min"])
    same = held["ip"].eq(held["ip"].shift())
    assert same.mean() > 0.1
    # One after the other: strangers do not hold an address at the same time.
    later = held["min"] > held["max"].shift()
    assert later[same].mean() > 0.8


def test_households_share_a_line_a_country_and_sometimes_a_tablet(live):
    world = live({"ipv6": 0.0, "events": 3_000}, households={"share": 0.8, "shared_device": 1.0})
    family = world.events[world.events["role"] == "household"]
    alone = world.events[world.events["role"] == "solo"]
    together = family.groupby(["ip", family["ts"].dt.date])["account_id"].nunique()
    apart = alone.groupby(["ip", alone["ts"].dt.date])["account_id"].nunique()
    assert (together > 1).mean() > 5 * (apart > 1).mean()
    assert family.groupby("device_id")["group_id"].nunique().max() == 1
    assert holders(family, "device_id").max() > 1
    members = world.accounts[world.accounts["role"] == "household"]
    assert members.groupby("group_id")["country"].nunique().max() == 1
    assert members.groupby("group_id").size().between(2, 5).all()


def test_offices_share_a_gateway_a_domain_a_card_and_a_tool(live):
    world = live(
        {"events": 4_000},
        offices={"share": 0.9, "size": [20, 40], "company_card": 1.0, "template": 1.0},
    )
    staff = world.events[world.events["role"] == "office"]
    gateway = staff[staff["ip"].str.startswith("172.")]
    assert gateway.groupby("ip")["group_id"].nunique().max() == 1
    assert holders(gateway, "ip").max() >= 10
    paid = world.payments[world.payments["role"] == "office"]
    assert holders(paid, "payment_method").max() >= 20
    domain = world.accounts["email"].str.split("@").str[1]
    company = domain[world.accounts["role"] == "office"]
    assert company.value_counts().iloc[0] >= 15
    shared = pd.Series([s for prompt in gateway["prompt"] for s in shingles(prompt)])
    assert shared.value_counts().iloc[0] > 30


def test_a_campus_is_behind_few_addresses_and_a_class_has_one_assignment(live):
    world = live(
        {"events": 4_000},
        campuses={"share": 0.9, "size": 120, "addresses": 3, "class_size": 30, "assignment": 1.0},
    )
    students = world.events[world.events["role"] == "campus"]
    on_site = students[students["ip"].str.startswith("10.")]
    assert on_site["ip"].nunique() == 3
    assert holders(on_site, "ip").min() >= 40
    text = students["prompt"].map(lambda prompt: next(iter(sorted(shingles(prompt))), ()))
    busiest = text.value_counts().index[0]
    week = np.ptp(students.loc[text == busiest, "ts"])
    assert holders(students.assign(text=text), "text").max() >= 8
    assert week <= pd.Timedelta(days=7)


def test_mobile_gateways_mix_strangers_of_one_country(live):
    world = live(
        {"accounts": 300, "events": 5_000, "country": "DE"},
        gateways={"share": 1.0, "users_per_address": 150, "weight": 1.0},
    )
    phones = world.events[world.events["ip"].str.startswith("100.")]
    assert phones["ip"].nunique() == 2
    assert holders(phones, "ip").min() > 60
    assert 0.35 < len(phones) / len(world.events) < 0.65


def test_vpn_exits_mix_strangers_of_all_countries(live):
    world = live({"events": 4_000}, vpns={"share": 1.0, "providers": 1, "exits": 3, "weight": 3.0})
    exits = world.events[world.events["ip"].str.startswith("198.")]
    assert exits["ip"].nunique() == 3
    country = world.accounts.set_index("account_id")["country"]
    assert exits.groupby("ip")["account_id"].agg(lambda a: country[a].nunique()).min() >= 5


def test_innocents_rent_from_proxy_vendors_as_well(live):
    vendor = {"vendors": 1, "addresses": 5, "weight": 5.0}

    def busiest(share):
        people = {"events": 4_000, "ipv6": 0.0}
        events = live(people, proxy_users={"share": share, **vendor}).events
        return holders(events, "ip").nlargest(5).min()

    assert busiest(1.0) > 30
    assert busiest(0.0) == 1


def test_a_popular_tool_has_one_template_and_one_client(live):
    world = live({"events": 4_000}, tools={"share": 1.0, "tools": 1, "weight": 3.0})
    tool = world.events[world.events["user_agent"].str.startswith("opentool")]
    assert tool["user_agent"].nunique() == tool["tls_fingerprint"].nunique() == 1
    assert tool["device_id"].isna().all()
    assert tool["account_id"].nunique() > 80
    shared = pd.Series([s for prompt in tool["prompt"] for s in shingles(prompt)]).value_counts()
    assert shared.iloc[0] > 0.2 * len(tool)


def test_a_viral_prompt_goes_round_for_days_only(live):
    world = live({"events": 6_000}, viral={"prompts": 1, "share": 1.0, "days": 2.0})
    keys = world.events["prompt"].map(lambda prompt: tuple(sorted(shingles(prompt))[:1]))
    spread = holders(world.events.assign(key=keys), "key").sort_values()
    fans = world.events[keys == spread.index[-1]]
    assert spread.iloc[-1] > 20
    assert np.ptp(fans["ts"]) <= pd.Timedelta(days=2)


def test_an_agency_runs_its_clients_accounts_from_one_desk(live):
    world = live({"events": 4_000}, agencies={"share": 0.5, "size": 8})
    desk = world.events[(world.events["role"] == "agency")]
    assert desk.groupby("group_id")["device_id"].nunique().max() <= 2 + 8
    assert holders(desk, "device_id").max() >= 3
    paid = world.payments[world.payments["role"] == "agency"]
    assert (holders(paid, "payment_method") == 8).all()


def test_ci_runners_work_day_and_night_on_shared_addresses(live):
    world = live({"events": 4_000}, ci_runners={"share": 0.5, "addresses": 5, "actions": 1})
    jobs = world.events[world.events["user_agent"].str.startswith("ci-step")]
    assert jobs["ip"].nunique() == 5
    assert holders(jobs, "ip").min() > 20
    by_hour = jobs.groupby(jobs["ts"].dt.hour).size()
    assert len(by_hour) == 24
    assert world.accounts.loc[world.accounts["role"] == "ci_runner", "group_id"].isna().all()


def test_a_hackathon_is_a_burst_of_sign_ups_at_one_venue(live):
    world = live(hackathons={"share": 0.8, "size": 40})
    guests = world.accounts[world.accounts["role"] == "hackathon"]
    for _, group in guests.groupby("group_id"):
        assert np.ptp(group["created_at"]) <= pd.Timedelta(hours=3)
    events = world.events[world.events["role"] == "hackathon"]
    venue = events[events["ip"].str.startswith("172.")]
    assert holders(venue, "ip").max() > 8
    assert venue.groupby("group_id")["ts"].agg(np.ptp).max() <= pd.Timedelta(hours=40)
    assert not events[~events["ip"].str.startswith("172.")].empty


def test_a_resellers_customers_share_an_operators_card_and_proxies(operate):
    world = operate(lookalikes={"resellers": {"share": 0.3, "size": 20, "of_operator": 1.0}})
    customers = world.payments[world.payments["role"] == "reseller_customer"]
    assert set(customers["payment_method"]) <= set(crew_of(world, "payments")["payment_method"])
    visits = world.events[world.events["role"] == "reseller_customer"]
    assert set(visits["ip"]) & set(world.crew["ip"])
    assert not set(visits["prompt"].str.lower()) & set(world.crew["prompt"].str.lower())
    assert visits["operator_id"].isna().all()


def test_ipv6_lines_change_their_host_daily_and_keep_their_network(live):
    world = live({"ipv6": 1.0, "events": 3_000})
    assert world.events["ip"].str.startswith("2001:db8:").all()
    network = world.events["ip"].str.split(":").str[:4].str.join(":")
    hosts = world.events.groupby("account_id")["ip"].nunique()
    networks = network.groupby(world.events["account_id"]).nunique()
    assert hosts.sum() > 1.5 * networks.sum() - len(networks)
    assert networks.min() == 1


def test_habits_are_sent_again_and_again(live):
    def repeats(world):
        prints = world.events["prompt"].map(lambda prompt: frozenset(shingles(prompt)))
        own = pd.DataFrame({"account": world.events["account_id"], "s": prints}).explode("s")
        return own.duplicated(["account", "s"]).mean()

    assert repeats(live({"habits": 1.0})) > 5 * repeats(live({"habits": 0.0}))


def test_most_accounts_send_little_and_few_send_much(live):
    counts = live({"accounts": 2_000, "events": 40_000}).events.groupby("account_id").size()
    ordered = counts.sort_values(ascending=False)
    assert ordered.head(len(ordered) // 10).sum() > 0.35 * ordered.sum()
    assert counts.median() < 0.65 * counts.mean()


def test_cards_are_held_as_in_a_real_marketplace(live):
    world = live({"accounts": 12_000, "events": 100, "paying": 1.0})
    users = holders(world.payments, "payment_method")
    assert abs((users == 1).mean() - 0.967) < 0.006
    assert abs((users == 2).mean() - 0.031) < 0.006
    assert users.max() <= 5
    cards = world.payments.groupby("account_id")["payment_method"].nunique()
    assert abs((cards == 1).mean() - 0.61) < 0.05
    assert cards.max() <= 22


def test_people_sleep_at_night_and_offices_on_sundays(live):
    world = live(
        {"accounts": 400, "events": 8_000, "country": "GB"},
        offices={"share": 0.5, "size": 20, "template": 0.0},
    )
    office = world.events[world.events["role"] == "office"]["ts"]
    solo = world.events[world.events["role"] == "solo"]["ts"]
    assert (office.dt.day_of_week == 6).mean() < 0.6 * (solo.dt.day_of_week == 6).mean()
    assert solo.dt.hour.between(2, 4).mean() < solo.dt.hour.between(19, 21).mean() / 2


def test_strangers_practically_never_share_six_running_words(live):
    world = live({"accounts": 800, "events": 10_000}, gateways={"share": 0.5})
    # Common openings are shared on purpose.
    openings = "|".join(re.sub("[A-Z]+", r"\\w+", opening) for opening in PATTERNS["opening"])
    text = world.events["prompt"].str.lower().str.replace("([,:.?])", r" \1", regex=True)
    assert text.str.match(openings).mean() > 0.2
    text = text.str.replace(f"^({openings})", "", regex=True).str.replace("[,:.?]", "", regex=True)
    rows = []
    for account, words in zip(world.events["account_id"], text.str.split(), strict=True):
        rows += [(account, " ".join(words[k : k + 6])) for k in range(len(words) - 5)]
    runs = pd.DataFrame(rows, columns=["account_id", "run"])
    assert (holders(runs, "run") > 1).mean() < 0.0003
