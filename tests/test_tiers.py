"""Tiers, explanations and confidence, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from worlds import METHOD, get_code, make_graph, make_strangers

from linkage.tiers import describe_clusters

CROWD = make_strangers(50, "payment", "ip", "device", "prompt", "email_domain")
NINE = "abcdefghi"


def describe(graph, *clusters, bits=9.0, q_value=0.0, probability=1.0, weak=(), public=()):
    """Describe clusters of which each member's shared identifiers have the same bits.

    Holders of identifiers have other things in common, but for those of public ones.
    """
    accounts = graph.accounts["account_id"].tolist()
    labels = np.full(graph.n_accounts, -1, np.int64)
    for number, members in enumerate(clusters):
        labels[[accounts.index(name) for name in members]] = number
    shared = graph.edges[graph.holders[graph.edges["identifier"].to_numpy()] >= 2]
    evidence = shared[["account", "identifier"]].assign(bits=bits)
    evidence["cluster"] = labels[evidence["account"].to_numpy()]
    evidence = evidence[evidence["cluster"] >= 0].reset_index(drop=True)
    evidence.loc[evidence["identifier"].isin([get_code(graph, name) for name in weak]), "bits"] = 1
    evidence["alone"] = evidence["bits"]
    posterior = np.where(labels >= 0, probability, 0.0)
    q_values = np.full(len(clusters), q_value)
    corroborated = graph.holders.copy()
    corroborated[[get_code(graph, name) for name in public]] = 0
    return describe_clusters(graph, labels, posterior, evidence, q_values, corroborated, METHOD)


def describe_ring(held, members=NINE, **options):
    return describe(make_graph(dict.fromkeys(members, held) | CROWD), members, **options).loc[0]


def test_two_independent_families_and_significance_make_an_operator():
    row = describe_ring("payment:card device:phone ip:proxy")
    assert row["tier"] == "operator"
    assert row["families"] == "client+network+payment"
    assert row["explanation"] == ""
    assert row["corroborated"] == 1
    assert row["confidence"] == 1
    assert row["risk"] == pytest.approx(1 - 1 / 9)


def test_one_family_is_coordinated_and_gives_no_confidence():
    row = describe_ring("payment:card payment:cash")
    assert (row["tier"], row["families"], row["corroborated"]) == ("coordinated", "payment", 0)
    assert row["confidence"] == row["risk"] == 0


@pytest.mark.parametrize(
    ("n_others", "tier", "belief"), [(8, "operator", 1), (9, "coordinated", 0.75)]
)
def test_two_families_must_be_mostly_the_clusters_own(n_others, tier, belief):
    """Of the others who use a proxy, 8 are members: 8 of 16, and 8 of 17."""
    others = {f"x{i}": f"ip:proxy payment:own{i}" for i in range(n_others)}
    graph = make_graph(dict.fromkeys(NINE, "payment:card ip:proxy") | others | CROWD)
    row = describe(graph, NINE).loc[0]
    assert (row["tier"], row["confidence"]) == (tier, belief)
    # A purpose will do instead.
    prompts = " ".join(f"prompt:t{i}" for i in range(30))
    held = dict.fromkeys(NINE, f"ip:proxy {prompts}")
    found = describe(make_graph(held | others | CROWD), NINE).loc[0]
    assert (found["tier"], found["families"]) == ("operator", "content+network")


def test_half_of_the_accounts_must_hold_what_is_the_clusters_own():
    others = {f"x{i}": f"ip:proxy payment:own{i}" for i in range(20)}
    for n_with, tier in ((4, "coordinated"), (5, "operator")):
        device = {name: " device:phone" * (name in NINE[:n_with]) for name in NINE}
        held = {name: f"payment:card ip:proxy{device[name]}" for name in NINE}
        assert describe(make_graph(held | others | CROWD), NINE).loc[0, "tier"] == tier


def test_dependent_families_count_once():
    assert describe_ring("prompt:p user_agent:u")["tier"] == "coordinated"
    assert describe_ring("prompt:p user_agent:u")["families"] == "content+software"
    assert describe_ring("prompt:p user_agent:u payment:card")["tier"] == "operator"


def test_what_chance_explains_is_no_operator():
    held = "payment:card device:phone"
    assert describe_ring(held, q_value=METHOD.fdr)["tier"] == "operator"
    assert describe_ring(held, q_value=METHOD.fdr * 1.01)["tier"] == "coordinated"


def test_a_family_needs_enough_bits():
    held = "payment:card device:phone"
    assert describe_ring(held, bits=METHOD.min_bits)["families"] == "client+payment"
    assert describe_ring(held, bits=METHOD.min_bits - 0.01)["families"] == ""
    weak = describe_ring(held, weak=["device:phone"])
    assert (weak["families"], weak["tier"]) == ("payment", "coordinated")


def test_a_family_needs_half_of_the_accounts():
    for n_with, families in ((4, "payment"), (5, "client+payment")):
        holdings = {
            name: "payment:card" + (" device:phone" if i < n_with else "")
            for i, name in enumerate(NINE)
        }
        row = describe(make_graph(holdings | CROWD), NINE).loc[0]
        assert row["families"] == families
        assert row["corroborated"] == pytest.approx(n_with / 9)


def test_each_account_is_corroborated_by_its_own_families():
    halves = dict.fromkeys("abc", "payment:card") | dict.fromkeys("def", "device:phone")
    row = describe(make_graph(halves | CROWD), "abcdef").loc[0]
    assert row["families"] == "client+payment"
    assert row["corroborated"] == 0


def test_a_company_at_one_mail_domain_is_an_organisation():
    row = describe_ring("email_domain:firm.example ip:office device:kiosk")
    assert (row["explanation"], row["tier"]) == ("organisation", "shared")
    assert row["confidence"] == pytest.approx(0.02)


def test_a_mail_domain_whose_users_have_nothing_else_in_common_is_public():
    held, domain = (
        "email_domain:free.example payment:card device:phone",
        "email_domain:free.example",
    )
    assert describe_ring(held)["explanation"] == "organisation"
    graph = make_graph(dict.fromkeys(NINE, held) | CROWD)
    row = describe(graph, NINE, public=[domain]).loc[0]
    assert (row["explanation"], row["tier"]) == ("", "operator")


def test_an_address_that_many_others_use_is_no_home():
    family = dict.fromkeys("abcd", "ip:x device:tablet")
    others = {f"y{i}": "ip:x" for i in range(9)}
    assert describe(make_graph(family | CROWD), "abcd").loc[0]["explanation"] == "household"
    assert describe(make_graph(family | others | CROWD), "abcd").loc[0]["explanation"] == ""


def test_an_organisation_needs_most_of_its_members_at_the_domain():
    for n_at_domain, explanation in ((4, ""), (5, "organisation")):
        holdings = {
            name: "ip:office device:kiosk"
            + (" email_domain:firm.example" if i < n_at_domain else "")
            for i, name in enumerate(NINE)
        }
        assert describe(make_graph(holdings | CROWD), NINE).loc[0]["explanation"] == explanation


def test_few_accounts_at_one_address_are_a_household_and_many_are_not():
    held = "payment:card device:phone ip:home"
    small, large = describe_ring(held, "abcdefgh"), describe_ring(held, NINE)
    assert (small["explanation"], small["tier"]) == ("household", "shared")
    assert (large["explanation"], large["tier"]) == ("", "operator")


def test_few_accounts_without_a_common_address_are_no_household():
    row = describe_ring("payment:card device:phone", "abc")
    assert (row["explanation"], row["tier"]) == ("", "operator")


def test_shared_prompts_leave_an_explanation_open():
    row = describe_ring("payment:card ip:home prompt:template", "abc")
    assert (row["explanation"], row["tier"]) == ("", "operator")
    # One sighting in three is a prompt of theirs.
    firm = describe_ring("email_domain:firm.example ip:office ip:cafe ip:train prompt:template")
    assert (firm["explanation"], firm["tier"]) == ("organisation", "coordinated")
    assert firm["purpose"] == pytest.approx(1 / 3)
    assert firm["confidence"] == pytest.approx(0.5 / 9)


def test_no_innocent_explanation_stands_where_half_of_the_activity_is_one_purpose():
    firm = "email_domain:firm.example ip:office ip:cafe prompt:template"
    proxies = {f"m{i}": f"ip:p{i % 12} ip:p{i % 11} ip:p{i % 10}" for i in range(60)}
    held = {
        name: f"{ip} email_domain:firm.example prompt:a prompt:b" for name, ip in proxies.items()
    }
    large = describe(make_graph(held | CROWD), list(held)).loc[0]
    assert (large["explanation"], large["tier"]) == ("", "operator")
    assert 0.6 < large["purpose"] < 0.75
    # At one place, two thirds are what an organisation with one task does, and all is not.
    many = [f"m{i}" for i in range(60)]
    placed = describe_ring(f"{firm} prompt:another ip:train", many)
    assert (placed["explanation"], placed["purpose"]) == ("organisation", pytest.approx(2 / 3))
    prompts = " ".join(f"prompt:t{i}" for i in range(10))
    whole = describe_ring(f"email_domain:firm.example ip:office {prompts}", many)
    assert (whole["explanation"], whole["tier"]) == ("", "operator")
    # Nine prompts of eighteen are half by chance.
    small = describe_ring(firm)
    assert (small["purpose"], small["explanation"]) == (0.5, "organisation")


def send(graph, members, counts, n_sent):
    """Return the graph with so many sightings of some identifiers and prompts of each member."""
    codes = {get_code(graph, name): n for name, n in counts.items()}
    edges = graph.edges.assign(count=graph.edges["identifier"].map(codes).fillna(1).astype(int))
    is_prompt = (graph.identifiers["kind"] == "prompt").to_numpy()[edges["identifier"]]
    followed = edges["count"].where(is_prompt, 0).groupby(edges["account"]).sum()
    accounts = [graph.accounts["account_id"].tolist().index(name) for name in members]
    alone = pd.DataFrame({"account": accounts, "n": 0, "count": n_sent - followed[accounts]})
    kind = pd.Categorical(["prompt"] * len(alone), categories=graph.kind_names)
    return replace(graph, edges=edges, alone=alone.assign(kind=kind))


def test_a_phrase_in_a_template_is_no_other_prompt():
    firm = "email_domain:firm.example ip:office prompt:template prompt:phrase"
    users = {f"u{i}": "prompt:phrase" for i in range(40)}
    graph = make_graph(dict.fromkeys(NINE, firm) | users | CROWD)
    counts = {"ip:office": 20, "prompt:template": 20, "prompt:phrase": 20}
    # Forty prompts, half of them other people's, are half a purpose ...
    apart = describe(send(graph, NINE, counts, 40), NINE).loc[0]
    assert (apart["purpose"], apart["explanation"]) == (0.5, "organisation")
    # ... but twenty that follow both are one.
    row = describe(send(graph, NINE, counts, 20), NINE).loc[0]
    assert (row["purpose"], row["explanation"], row["tier"]) == (1, "", "operator")


@pytest.mark.parametrize(("n_piece", "purpose"), [(10, 0.5), (25, 0.5 + 4 * 25 / (9 * 40))])
def test_what_is_left_of_a_template_counts_once(n_piece, purpose):
    """Four of nine also show a piece of it; who shows it more often has it from elsewhere."""
    held = dict.fromkeys(NINE, "ip:office prompt:template")
    held |= {name: f"{held[name]} prompt:piece" for name in "abcd"}
    graph = make_graph(held | CROWD)
    counts = {"ip:office": 40, "prompt:template": 20, "prompt:piece": n_piece}
    row = describe(send(graph, NINE, counts, 20), NINE).loc[0]
    assert row["purpose"] == pytest.approx(purpose)


def test_prompts_that_are_mostly_other_peoples_are_no_purpose():
    users = {f"u{i}": "prompt:tool" for i in range(10)}
    ring = dict.fromkeys(NINE, "payment:card device:phone prompt:tool")
    row = describe(make_graph(ring | users | CROWD), NINE).loc[0]
    assert (row["purpose"], row["tier"]) == (0, "coordinated")
    assert row["confidence"] == pytest.approx(0.25)  # half as likely as where no prompts are known


def test_confidence_is_the_product_of_its_parts():
    row = describe_ring("payment:card device:phone", q_value=0.01, probability=0.8)
    assert row["confidence"] == pytest.approx(0.99 * 0.8)
    assert row["risk"] == pytest.approx(0.99 * 0.8 * 8 / 9)


def test_confidence_and_risk_are_probabilities_whatever_the_tier():
    holdings = {
        **dict.fromkeys("abc", "payment:p device:d"),
        **dict.fromkeys("def", "ip:home device:e"),
        **dict.fromkeys("xyz", "payment:q"),
    }
    table = describe(make_graph(holdings | CROWD), "abc", "def", "xyz", q_value=0.005)
    assert table["tier"].tolist() == ["operator", "shared", "coordinated"]
    assert table["n_accounts"].tolist() == [3, 3, 3]
    for column in ("confidence", "risk", "corroborated"):
        assert table[column].between(0, 1).all()


def test_no_clusters_are_an_empty_table_with_all_columns():
    for holdings in ({}, {"a": ""}, CROWD):
        table = describe(make_graph(holdings))
        assert table.empty
        assert set(table) == {
            "n_accounts",
            "q_value",
            "families",
            "corroborated",
            "confidence",
            "explanation",
            "purpose",
            "tier",
            "risk",
        }


def test_a_number_that_no_account_has_any_more_is_left_out():
    graph = make_graph(dict.fromkeys(NINE, "payment:card device:phone"))
    labels = np.full(9, 2, np.int64)
    evidence = pd.DataFrame(
        {"account": [], "cluster": [], "identifier": [], "bits": [], "alone": []}
    )
    evidence = evidence.astype(dict.fromkeys(("account", "cluster", "identifier"), np.int64))
    q_value = np.array([1.0, 1.0, 0.25])
    corroborated = np.zeros(graph.n_identifiers, np.int64)
    table = describe_clusters(graph, labels, np.ones(9), evidence, q_value, corroborated, METHOD)
    assert table.index.tolist() == [2]
    assert table["q_value"].tolist() == [0.25]
    assert table["families"].tolist() == [""]


def test_a_cluster_is_described_the_same_whatever_else_is_there():
    ring = dict.fromkeys("abc", "payment:p device:d")
    other = dict.fromkeys("xyz", "ip:home device:e")
    alone = describe(make_graph(ring | CROWD), "abc").loc[0]
    both = describe(make_graph(ring | other | CROWD), "abc", "xyz").loc[0]
    assert alone.to_dict() == both.to_dict()


def test_prompts_shared_in_one_place_may_be_a_class_and_are_left_open():
    row = describe_ring("ip:lab ip:hall ip:library prompt:homework")
    assert (row["tier"], row["explanation"]) == ("coordinated", "gathering")
    assert row["confidence"] == pytest.approx(0.5 / 3)


def meet(*, place, task):
    """Describe nine who share a prompt and were at one address, and at home otherwise.

    ``place`` and ``task`` are hours from the first to the last time of the address and the prompt.
    """
    held = {name: f"ip:hall prompt:task ip:{name}1 ip:{name}2 ip:{name}3" for name in NINE}
    graph = make_graph(held | CROWD)
    edges = graph.edges.copy()
    for identifier, hours in (("ip:hall", place), ("prompt:task", task)):
        last = edges.index[edges["identifier"] == get_code(graph, identifier)][-1]
        edges.loc[last, "last_seen"] += pd.Timedelta(hours=hours)
    row = describe(replace(graph, edges=edges), NINE).loc[0]
    return row["tier"], row["explanation"]


def test_who_meets_for_days_may_be_at_a_hackathon_and_who_does_for_weeks_is_not():
    assert meet(place=168, task=999) == ("coordinated", "gathering")
    assert meet(place=169, task=999) == ("operator", "")


def test_who_does_one_thing_for_days_at_one_place_may_have_been_given_a_task():
    assert meet(place=999, task=168) == ("coordinated", "gathering")
    assert meet(place=999, task=169) == ("operator", "")


def test_two_accounts_at_one_address_are_no_gathering():
    held = "ip:lab ip:hall prompt:homework"
    crowd = {f"x{i}": "ip:lab ip:hall" for i in range(9)} | CROWD  # no home
    for members, explanation in (("ab", ""), ("abc", "gathering")):
        graph = make_graph(dict.fromkeys(members, held) | crowd)
        assert describe(graph, members).loc[0, "explanation"] == explanation


@pytest.mark.parametrize(("n_exits", "explanation"), [(12, ""), (4, "gathering")])
def test_who_rotates_through_a_dozen_proxies_is_at_no_place(n_exits, explanation):
    exits = " ".join(f"ip:exit{i}" for i in range(n_exits))
    graph = make_graph(dict.fromkeys(NINE, f"{exits} prompt:task") | CROWD)
    lasting = graph.edges.assign(last_seen=graph.edges["last_seen"] + pd.Timedelta(days=30))
    found = describe(replace(graph, edges=lasting), NINE)
    assert found.loc[0, "explanation"] == explanation


def test_what_could_not_have_been_sent_at_the_meeting_is_no_gatherings_task():
    held = {n: f"ip:hall prompt:a prompt:b prompt:c ip:{n}1 ip:{n}2 ip:{n}3 ip:{n}4" for n in NINE}
    graph = make_graph(held | CROWD)
    assert describe(graph, NINE).loc[0, "purpose"] == pytest.approx(3 / 5)
    mostly = {n: f"{held[n]} ip:{n}5 ip:{n}6 ip:{n}7" for n in NINE}  # below half again
    assert describe(make_graph(mostly | CROWD), NINE).loc[0, "explanation"] == ""


def test_prompts_in_common_put_a_household_in_doubt():
    held = {name: f"ip:home payment:card prompt:task ip:{name}1 ip:{name}2" for name in "abcd"}
    row = describe(make_graph(held | CROWD), "abcd").loc[0]
    assert (row["tier"], row["explanation"]) == ("coordinated", "household")
    assert 0 < row["confidence"] == row["purpose"] / 2 < 0.5


def test_who_stays_together_and_shares_a_card_may_be_an_office():
    held = "ip:lab ip:hall ip:library payment:card"
    office = describe_ring(f"{held} prompt:homework")
    assert (office["tier"], office["explanation"]) == ("coordinated", "organisation")
    aimless = {name: f"{held} prompt:own_{name}" for name in NINE}
    row = describe(make_graph(aimless | CROWD), NINE).loc[0]
    assert (row["tier"], row["explanation"]) == ("shared", "organisation")
    # Without prompts, what they are there for is not known.
    assert describe_ring(held)["tier"] == "operator"
    # With a purpose that takes most of what they do, it is.
    many = " ".join(f"prompt:t{i}" for i in range(30))
    assert describe_ring(f"{held} {many}")["tier"] == "operator"


def test_known_prompts_that_are_not_shared_show_no_purpose():
    own = {name: f"payment:card device:phone prompt:own_{name}" for name in NINE}
    assert describe(make_graph(own | CROWD), NINE).loc[0, "tier"] == "coordinated"
    assert describe_ring("payment:card device:phone")["tier"] == "operator"


def hold_service(n_cards, known="payment"):
    """Return what nine users of a service hold, so many of whom share cards in pairs."""
    users = {
        name: f"user_agent:tool prompt:system ip:server{i} ip:server{(i + 1) % 9} "
        f"{known}:{f'card{i // 2}' if i < n_cards else f'mine{i}'}"
        for i, name in enumerate(NINE)
    }
    return make_graph(users | make_strangers(200, "payment", "ip", "prompt"))


def test_what_a_service_brings_along_is_no_operator_where_cards_are_known_and_tie_nobody():
    row = describe(hold_service(0), NINE).loc[0]
    assert (row["tier"], row["explanation"]) == ("coordinated", "tool")
    assert row["confidence"] <= 0.5
    assert row["families"] == "content+network+software"  # what was seen is said all the same


@pytest.mark.parametrize(("n_cards", "known"), [(4, "payment"), (0, "user_agent")])
def test_a_service_explains_nothing_where_cards_tie_some_or_are_not_known(n_cards, known):
    row = describe(hold_service(n_cards, known), NINE).loc[0]
    assert (row["tier"], row["explanation"]) == ("operator", "")


def test_few_who_lend_each_other_a_card_are_a_household_where_prompts_tell_no_purpose():
    lent = "payment:card ip:{0}1 ip:{0}2 device:{0}"
    held = {name: lent.format(name) + " prompt:task" for name in "abc"}
    family = describe(make_graph(held | CROWD), "abc").loc[0]
    assert (family["tier"], family["explanation"]) == ("coordinated", "household")
    assert family["confidence"] == pytest.approx(family["purpose"] / 2)
    bare = {name: lent.format(name) for name in "abc"}
    assert describe(make_graph(bare | CROWD), "abc").loc[0, "explanation"] == ""


def test_a_prompt_that_follows_many_phrases_is_still_one_of_the_purpose():
    # Two templates of their own, twice each; in all four prompts two phrases of everybody.
    counts = {"a": 2, "b": 2, "phrase1": 4, "phrase2": 4}
    crowd = {f"other{i}": "prompt:phrase1 prompt:phrase2" for i in range(40)}
    prompts = " ".join(f"prompt:{name}" for name in counts)
    graph = make_graph(dict.fromkeys(NINE, f"payment:card device:rack {prompts}") | crowd | CROWD)
    count = graph.identifiers["value"].map(counts).reindex(graph.edges["identifier"]).fillna(1)
    ring = graph.accounts.index[graph.accounts["account_id"].isin(list(NINE))]
    kind = pd.Categorical(["prompt"] * len(NINE), graph.kind_names)
    alone = pd.DataFrame({"account": ring, "kind": kind, "n": 0, "count": -8})  # sent four, not 12
    sent = replace(graph, edges=graph.edges.assign(count=count.to_numpy(int)), alone=alone)
    row = describe(sent, NINE).loc[0]
    assert (row["tier"], row["purpose"]) == ("operator", 1.0)
