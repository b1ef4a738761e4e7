import re

import numpy as np
import pytest

from linkage.errors import ConfigError
from linkage.simulate.clock import DAY_S, SCHEDULES, sample_second_of_day, weekday_weight
from linkage.simulate.draws import cut_groups, draw_heavy, draw_weighted, hash_keys, spread_uniform
from linkage.simulate.language import load_language, make_names
from linkage.simulate.network import ALWAYS, Network, hold_seconds, lay_lines, spell_addresses
from linkage.simulate.prompts import PromptPlan, compose, fingerprint, write_text
from linkage.simulate.registration import spell_keys


def lay(n=400, **setting):
    country = np.arange(n) % 3
    rng = np.random.default_rng(0)
    return country, lay_lines(rng, country, **{"crowding": 0.9, "ipv6": 0.0, **setting})


def test_no_two_lines_hold_an_address_at_the_same_time():
    _, lines = lay()
    line = np.arange(400)
    for day in (0.0, 3.5, 40.25):
        codes = lines.resolve(line, line, np.full(400, day * DAY_S))
        assert len(set(codes.tolist())) == 400


def test_an_address_passes_to_another_line_when_the_lease_ends():
    _, lines = lay()
    line = np.flatnonzero(lines.lease_s == DAY_S)
    first = lines.resolve(line, line, np.full(len(line), 0.0))
    next_day = lines.resolve(line, line, np.full(len(line), 1.001 * DAY_S))
    assert (first != next_day).mean() > 0.9
    assert len(set(first.tolist()) & set(next_day.tolist())) > 0.5 * len(line)


def test_a_line_keeps_its_address_within_a_lease():
    _, lines = lay()
    line = np.flatnonzero(lines.lease_s > 100 * DAY_S)
    first = lines.resolve(line, line, np.zeros(len(line)))
    assert (first == lines.resolve(line, line, np.full(len(line), 44 * DAY_S))).all()


def test_an_access_network_serves_one_country():
    country, lines = lay()
    assert all(len(set(country[lines.net == net])) == 1 for net in np.unique(lines.net))
    assert np.bincount(lines.net).max() <= round(251 * 0.9)


def test_ipv6_neighbours_share_a_network_but_no_host():
    _, lines = lay(ipv6=1.0)
    codes = lines.resolve(np.zeros(2, np.int64), np.array([1, 2]), np.zeros(2))
    one, other = spell_addresses(codes).to_pylist()
    assert one.split(":")[:4] == other.split(":")[:4]
    assert one.split(":")[4:] != other.split(":")[4:]


def test_pools_never_overlap():
    network = Network(lay()[1])
    network.add_pools("office", np.array([3, 1, 7]), ALWAYS)
    network.add_pools("office", np.array([2]), ALWAYS)
    sources = network.freeze()
    codes = [code for low, size in zip(sources.low, sources.size, strict=True)
             for code in range(low, low + size)]  # fmt: skip
    assert len(set(codes)) == 13
    assert all(
        text.startswith("172.16.0.") for text in spell_addresses(np.array(codes)).to_pylist()
    )


def test_a_range_that_is_used_up_is_named():
    with pytest.raises(ConfigError, match="addresses of kind server, the range holds 131,072"):
        Network(lay()[1]).add_pools("server", np.array([200_000]), ALWAYS)


@pytest.mark.parametrize(("hold_s", "n_addresses"), [(ALWAYS, 1), (DAY_S, 5), (0.0, 40)])
def test_an_account_keeps_an_address_as_long_as_said(hold_s, n_addresses):
    network = Network(lay()[1])
    source = network.add_pools("server", np.array([5_000]), hold_s)
    second = np.linspace(0, 4.99 * DAY_S, 40)
    codes = network.freeze().resolve(np.full(40, source[0]), np.full(40, 7), second, np.arange(40))
    assert len(set(codes.tolist())) == n_addresses


def test_a_relay_shows_the_address_of_the_home():
    network = Network(lay()[1])
    source = network.add_relays(np.array([17]), ALWAYS)
    sources, second = network.freeze(), np.array([2.5 * DAY_S])
    home = sources.resolve(np.array([17]), np.array([5]), second, np.array([0]))
    relayed = sources.resolve(np.array([source]), np.array([99]), second, np.array([1]))
    assert home == relayed


def test_rotation_runs_from_for_good_to_every_request():
    assert hold_seconds(0.0) == ALWAYS
    assert hold_seconds(1.0) == 0.0
    assert hold_seconds(0.3) > hold_seconds(0.6) > 60


def test_moments_of_the_day_follow_the_schedule():
    n = 48_000
    quantile = (np.arange(n) + 0.5) / n
    office = np.full(n, SCHEDULES.index("office"))
    second = sample_second_of_day(quantile, office, np.full(n, 2.0))
    local_hour = ((second + 7_200) % DAY_S) // 3_600
    counts = np.bincount(local_hour.astype(int), minlength=24)
    assert counts[:6].sum() == 0
    # The table gives ten o'clock 13 of 118 parts.
    assert abs(counts[10] / n - 13 / 118) < 0.01


def test_a_week_has_mean_weight_one():
    schedule = np.arange(len(SCHEDULES))
    total = sum(weekday_weight(schedule, day) for day in range(7))
    assert np.allclose(total, 7)


def test_hashes_are_uniform_and_depend_on_the_keys_order():
    numbers = spread_uniform(hash_keys(np.arange(20_000), 3))
    assert abs(numbers.mean() - 0.5) < 0.01
    assert abs(np.histogram(numbers, 10, (0, 1))[0] - 2_000).max() < 250
    assert hash_keys(1, 2) != hash_keys(2, 1)


def test_weighted_draws_never_pick_what_weighs_nothing():
    drawn = draw_weighted(np.random.default_rng(0), [0.0, 3.0, 1.0, 0.0], 8_000)
    assert set(drawn.tolist()) == {1, 2}
    assert abs((drawn == 1).mean() - 0.75) < 0.03


def test_heavy_shares_add_up():
    shares = draw_heavy(np.random.default_rng(0), 1_000, 5_000.0, 1.5)
    assert np.isclose(shares.sum(), 5_000)
    assert np.sort(shares)[-100:].sum() > 2_000
    assert draw_heavy(np.random.default_rng(0), 0, 5.0, 1.0).size == 0


@pytest.mark.parametrize("total", [0, 1, 7, 500])
def test_groups_keep_their_sizes(total):
    groups = cut_groups(np.random.default_rng(0), total, 3, 9)
    assert len(groups) == total
    sizes = np.bincount(groups[groups >= 0])
    assert ((sizes >= 3) & (sizes <= 9)).all()
    assert (groups < 0).sum() < 9


def test_keys_are_missing_where_there_is_nothing():
    keys = spell_keys(np.array([4, -1, 5]), "dev_", 0).to_pylist()
    assert keys[1] is None
    assert keys[0] != keys[2]


def test_names_are_distinct_words():
    names = make_names(20_000)
    assert len(names) == len(set(names)) == 20_000
    assert all(name.isalpha() and name.islower() for name in names)
    assert make_names(0) == []


def plan(n=300, **changes):
    """Prompts of one template of three sentences, no two of which are alike."""
    key = hash_keys(np.arange(n), 1)
    said = {
        "seed": np.full(n, 99, np.uint64), "key": key, "wording": key,
        "topic": np.zeros(n, np.int64), "n_fixed": np.full(n, 3), "n_payload": np.full(n, 1),
        "slot_share": np.full(n, 0.2), "word_share": np.full(n, 0.1),
        "sentence_share": np.full(n, 0.1), "opening": np.zeros(n, np.bool_),
    }  # fmt: skip
    return PromptPlan(**{**said, **changes})


def spell(said):
    language = load_language()
    words, length = compose(language, said)
    capitals = np.zeros(len(length), np.bool_)
    return write_text(language, words, length, capitals).to_pylist(), words, length


def test_the_same_plan_says_the_same():
    assert spell(plan())[0] == spell(plan())[0]


def test_an_event_does_not_depend_on_its_neighbours():
    alone = plan(300)
    part = {name: getattr(alone, name)[100:200] for name in alone.__slots__}
    assert spell(PromptPlan(**part))[0] == spell(alone)[0][100:200]


def test_a_long_prompt_is_cut_at_the_limit():
    texts, _, length = spell(plan(5, n_fixed=np.full(5, 60)))
    assert set(length.tolist()) == {160}
    assert all(len(text) > 500 for text in texts)


def hash_word(word):
    state = 0xCBF29CE484222325
    for byte in word.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


def scramble(value):
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def test_fingerprint_is_the_smallest_hash_of_five_running_words():
    texts, words, length = spell(plan(opening=np.arange(300) % 2 == 0))
    found = fingerprint(load_language(), words, length).tolist()
    for text, seen in zip(texts, found, strict=True):
        hashes = [hash_word(word) for word in re.sub("[.,?:]", " ", text).split()]
        runs = []
        for k in range(4, len(hashes)):
            state = 0
            for back in range(5):
                state = scramble(state ^ hashes[k - back])
            runs.append(state)
        assert seen == min(runs)


def test_capitals_begin_sentences():
    language = load_language()
    words, length = compose(language, plan(50))
    texts = write_text(language, words, length, np.ones(50, np.bool_)).to_pylist()
    for text in texts:
        assert all(part.strip()[0].isupper() or not part.strip()[0].isalpha()
                   for part in text.split(". ") if part.strip())  # fmt: skip
