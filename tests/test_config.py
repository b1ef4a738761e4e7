"""Settings: what is refused, how files are read, what a manifest gives back."""

import json
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.config import KINDS, Config, KindConfig, Limits, MethodConfig, load_config
from linkage.errors import ConfigError, MissingInputError

TOML = """
public_domains = ["mail.example"]

[columns.events]
account_id = "uid"
ts = "time"

[kinds.wallet]
family = "payment"
chosen = true

[kinds.session]
family = "client"
table = "events"
column = "session_id"

[kinds.ip]
family = "place"

[limits]
max_value_chars = 100

[method]
fdr = 0.05
min_bits = 4
strata = []
"""

REFUSED = {
    "unknown top word": ({"methods": {}}, r"unknown setting methods: did you mean 'method'\?"),
    "far from any": ({"zzz": 1}, r"unknown setting zzz: known are \['columns', 'embeddings'"),
    "unknown number": ({"method": {"fdrr": 0.1}}, r"unknown setting method.fdrr: did you mean"),
    "unknown limit": ({"limits": {"year": 1}}, r"unknown setting limits\.year"),
    "unknown of a kind": ({"kinds": {"ip": {"fam": "x"}}}, r"setting kinds\.ip\.fam: .*'family'"),
    "method no table": ({"method": 3}, r"\[method\] must be a table; got 3"),
    "limits no table": ({"limits": []}, r"\[limits\] must be a table; got \[\]"),
    "columns no table": ({"columns": "x"}, r"\[columns\] must be a table; got 'x'"),
    "kinds no table": ({"kinds": 1}, r"\[kinds\] must be a table; got 1"),
    "kind no table": ({"kinds": {"ip": "network"}}, r"kinds\.ip must be a table of settings"),
    "text for number": ({"method": {"fdr": "1%"}}, r"method\.fdr must be float; got '1%'"),
    "real for whole": ({"method": {"rounds": 1.5}}, r"method\.rounds must be int; got 1\.5"),
    "truth for whole": ({"method": {"rounds": True}}, r"method\.rounds must be int; got True"),
    "truth for real": ({"method": {"fdr": True}}, r"method\.fdr must be float; got True"),
    "number for truth": ({"kinds": {"ip": {"chosen": 1}}}, r"kinds\.ip\.chosen must be bool"),
    "number for text": ({"kinds": {"ip": {"table": 1}}}, r"kinds\.ip\.table must be str; got 1"),
    "text for texts": ({"method": {"strata": "country"}}, r"method\.strata must be a list of tex"),
    "mixed texts": ({"public_domains": ["a", 1]}, r"public_domains must be a list of texts"),
    "half a column": ({"kinds": {"x": {"table": "events"}}}, "both table and column, or neither"),
    "no such table": (
        {"kinds": {"x": {"table": "event", "column": "x"}}},
        r"table must be one of \['accounts', 'events'",
    ),
    "empty family": ({"kinds": {"x": {"family": ""}}}, "a kind needs a family"),
    "columns of no table": ({"columns": {"event": {}}}, r"table columns\.event: .*'events'"),
    "no such column": ({"columns": {"events": {"tss": "t"}}}, r"columns\.events\.tss: .* 'ts'"),
    "column no text": (
        {"columns": {"events": {"ts": 1}}},
        r"\[columns\.events\] must say contract",
    ),
    "column no table": ({"columns": {"events": "ts"}}, r"\[columns\.events\] must say contract"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_dict(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fdr": 0.0}, r"method\.fdr must lie between 0 and 1; got 0\.0"),
        ({"fdr": float("nan")}, r"method\.fdr must lie between 0 and 1; got nan"),
        ({"min_probability": 1.0}, r"method\.min_probability must lie between 0 and 1"),
        ({"min_probability": -0.1}, r"method\.min_probability must lie between 0 and 1"),
        ({"max_identifiers": 0}, "max_identifiers must be positive; got 0"),
        ({"max_family_bits": -1.0}, r"max_family_bits must be positive; got -1\.0"),
        ({"max_family_bits": float("nan")}, r"method\.max_family_bits must be 0 or more bits"),
        ({"min_bits": float("nan")}, r"method\.min_bits must be 0 or more bits; got nan"),
        ({"single_family_bits": -1.0}, r"method\.single_family_bits must be 0 or more bits"),
        ({"rounds": 0}, "rounds must be positive"),
        ({"common_causes": ("software",)}, r"must say 'a>b'; got 'software'"),
        ({"min_accounts": 1}, r"method\.min_accounts must be at least 2; got 1"),
        ({"dependent_families": ("content",)}, r"must say 'a\+b'; got 'content'"),
        ({"dependent_families": ("a+b+c",)}, r"must say 'a\+b'; got 'a\+b\+c'"),
        ({"dependent_families": ("a+",)}, r"must say 'a\+b'; got 'a\+'"),
    ],
)
def test_numbers_of_the_method_outside_their_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MethodConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_value_chars": 0}, "max_value_chars must be positive; got 0"),
        ({"max_prompt_chars": -1}, "max_prompt_chars must be positive; got -1"),
        ({"min_year": 2100}, "min_year < max_year <= 9999; got 2100 and 2100"),
        ({"min_year": 0}, "got 0 and 2100"),
        ({"max_year": 10_000}, "got 2000 and 10000"),
    ],
)
def test_limits_that_would_refuse_everything_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Limits(**settings)


def test_a_file_is_read_over_the_defaults(tmp_path):
    path = tmp_path / "linkage.toml"
    path.write_text(TOML, encoding="utf-8")
    config = load_config(path)
    assert config.get_column("events", "ts") == "time"
    assert config.get_column("payments", "ts") == "ts"
    assert config.get_kind("wallet") == KindConfig(family="payment", chosen=True)
    assert config.get_kind("session").column == "session_id"
    assert config.get_kind("ip").family == "place"
    assert config.get_kind("phone") == KINDS["phone"]
    assert config.public_domains == ("mail.example",)
    assert config.limits == Limits(max_value_chars=100)
    assert config.method == MethodConfig(fdr=0.05, min_bits=4.0, strata=())


def test_an_empty_file_says_the_defaults(tmp_path):
    path = tmp_path / "empty.toml"
    path.touch()
    assert load_config(str(path)) == Config()


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "linkage.toml"
    path.write_bytes(b"\xef\xbb\xbf[method]\r\nfdr = 0.5\r\n")
    assert load_config(path).method.fdr == 0.5


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"nowhere\.toml': No such file"):
        load_config(tmp_path / "nowhere.toml")


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(MissingInputError, match="Is a directory"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[method\nfdr = 1", r"bad\.toml' is not valid TOML: .*line 1"),
        (b"\xff\xfe[\x00", r"bad\.toml' is not UTF-8 text"),
        (b"[method]\nfdr = 2.0", r"method\.fdr must lie between 0 and 1; got 2\.0"),
    ],
)
def test_a_file_that_says_nothing_usable_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_manifest_gives_its_configuration_back(tmp_path):
    path = tmp_path / "linkage.toml"
    path.write_text(TOML, encoding="utf-8")
    for config in (Config(), load_config(path)):
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(
    st.builds(
        MethodConfig,
        fdr=st.floats(0, 1, exclude_min=True, exclude_max=True),
        max_identifiers=st.integers(1, 10**9),
        min_bits=st.floats(0, 100),
        rounds=st.integers(1, 100),
        strata=st.lists(st.text()).map(tuple),
    )
)
def test_every_method_survives_being_written(method):
    config = Config(method=method)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_kind_never_heard_of_is_a_family_of_its_own():
    assert Config().get_kind("badge") == KindConfig(family="badge", chosen=True)


def test_a_configuration_built_in_python_is_checked_too():
    with pytest.raises(ConfigError, match=r"unknown table columns\.nobody"):
        Config(columns={"nobody": {}})
    with pytest.raises(ConfigError, match=r"got table=None, column='x'"):
        KindConfig(family="f", column="x")


@pytest.mark.parametrize("settings", [Config(), MethodConfig(), Limits(), KINDS["ip"]])
def test_settings_are_frozen(settings):
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        setattr(settings, fields(settings)[0].name, None)


def test_one_configuration_does_not_change_the_next():
    Config.from_dict({"kinds": {"ip": {"family": "place"}}})
    assert Config().get_kind("ip").family == "network"
