import pandas as pd
import pytest

from linkage.checkup import check_input, guess_table
from linkage.cli.main import main
from linkage.config import Config
from linkage.engine import Engine
from linkage.errors import InputError

EVENTS = pd.DataFrame(
    {
        "account_id": ["a", "b", "", "c"],
        "ts": ["2026-05-01", "2026-05-03", "2026-05-02", "?"],
        "ip": ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1"],
        "device_id": ["d", None, "d", "d"],
        "colour": "red",
    }
)


@pytest.fixture
def events(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "log.csv"
    EVENTS.to_csv(path, index=False)
    return path


def check(frame):
    with Engine() as engine:
        return check_input(engine, {"events": frame}, Config())


def test_figures_by_hand():
    checkup = check(EVENTS)
    assert checkup.sources.loc[0, ["n_rows", "n_used", "n_accounts"]].tolist() == [4, 2, 2]
    assert str(checkup.sources.loc[0, "last_seen"]) == "2026-05-03 00:00:00"
    columns = checkup.columns.set_index("meaning")
    assert columns.loc["ip", ["column", "n_values", "share_empty"]].tolist() == ["ip", 1, 0]
    assert columns.loc["ip", ["most_shared", "most_accounts"]].tolist() == ["192.0.2.1", 2]
    assert columns.loc["device", ["n_values", "share_empty"]].tolist() == [1, 0.5]
    assert checkup.ignored["column"].tolist() == ["colour"]
    assert checkup.reasons[["column", "n", "example_row"]].to_numpy().tolist() == [
        ["account_id", 1, 3],
        ["ts", 1, 4],
    ]
    assert checkup.problem is None


def test_reasons_are_counted_without_their_values():
    checkup = check(EVENTS.assign(ip=["1.1.1.256", "it's bad", "x", "y"]))
    addresses = checkup.reasons[checkup.reasons["column"] == "ip"]
    assert addresses[["reason", "n", "example_row"]].to_numpy().tolist() == [
        ["is no IP address; the rest of the row was used", 2, 1]
    ]


def test_the_command_prints_what_it_understood(events, capsys):
    assert main(["check", "--events", str(events)]) == 0
    said = capsys.readouterr().out
    for word in ("log.csv", "network", "192.0.2.1", "50.0%", "2026-05-01 to 2026-05-03"):
        assert word in said
    assert "the account is missing" in said
    assert '[kinds.colour]\n  family = "..."\n  table = "events"\n  column = "colour"' in said
    assert "a run could start" in said


def test_the_hint_that_is_printed_works(events, tmp_path, capsys):
    main(["check", "--events", str(events)])
    hint = capsys.readouterr().out.split("linkage.toml:\n")[1].split("\na run")[0]
    (tmp_path / "linkage.toml").write_text(hint.replace("...", "style"))
    arguments = ["check", "--events", str(events), "--config", str(tmp_path / "linkage.toml")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "style" in said
    assert "ignored" not in said


def test_the_table_of_bare_files_is_guessed_and_said(events, capsys):
    assert main(["check", str(events)]) == 0
    assert "taken for events, by its columns ['ip', 'ts']" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "header", "table"),
    [
        ("my_payments_2026.csv", "x", "payments"),
        ("a.csv", "account_id,Kind,value", "observations"),
        ("a.csv", "account_id,ts,payment_method", "payments"),
        ("a.csv", "account_id,email", "accounts"),
        ("a.csv", "account_id,ts,prompt", "events"),
    ],
)
def test_tables_are_guessed_from_name_or_columns(tmp_path, name, header, table):
    (tmp_path / name).write_text(f"{header}\n")
    assert guess_table(tmp_path / name)[0] == table


def test_a_file_that_gives_nothing_away_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n")
    with pytest.raises(InputError, match=r"cannot tell which table '.*a.csv' is .*say so with --"):
        guess_table(tmp_path / "a.csv")


def test_an_input_that_cannot_run_exits_with_2(tmp_path, capsys, events):
    EVENTS.assign(ts="?").to_csv(events, index=False)
    assert main(["check", "--events", str(events)]) == 2
    said = capsys.readouterr().out
    assert "a run could not start: not one usable row in events: 4 refused" in said
    assert main(["check", "--events", str(tmp_path / "no.csv")]) == 2
    assert "there is no file or folder" in capsys.readouterr().err
    assert main(["check"]) == 2
    assert "no input: give at least one of" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = capsys.readouterr().out
    assert "[kinds.wallet]" in said
    assert "examples:" in said
