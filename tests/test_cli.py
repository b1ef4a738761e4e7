import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import linkage
from linkage.cli.main import COMMANDS, main


def run(*words, **settings):
    return subprocess.run(
        [sys.executable, "-m", "linkage.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )


@pytest.fixture
def table(ring, tmp_path) -> Path:
    path = tmp_path / "signals.csv"
    ring.to_csv(path, index=False)
    return path


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name, _, _ in COMMANDS)


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_every_command_teaches_by_example(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    said = capsys.readouterr().out
    assert f"linkage {name}" in said
    assert "example" in said


def test_without_a_command_help_is_shown(capsys):
    assert main([]) == 0
    assert "first steps" in capsys.readouterr().out


def test_run_writes_a_case_and_says_what_it_found(table, tmp_path, capsys):
    assert main(["run", "--observations", str(table), "--out", str(tmp_path / "case")]) == 0
    said = capsys.readouterr().out
    assert "1 clusters of 9 accounts" in said
    assert (tmp_path / "case" / "manifest.json").is_file()


def test_quiet_is_quiet(table, tmp_path, capsys):
    words = ["run", "--observations", str(table), "--out", str(tmp_path / "case"), "--quiet"]
    assert main(words) == 0
    assert capsys.readouterr().out == ""


def test_nothing_is_written_to_stderr_off_a_terminal(table, tmp_path):
    done = run("run", "--observations", table, "--out", tmp_path / "case")
    assert (done.returncode, done.stderr) == (0, "")


def test_explain_prints_clusters_accounts_and_pairs(demo_case, capsys):
    account = linkage.read_case(demo_case).members["account_id"].iloc[0]
    assert main(["explain", str(demo_case)]) == 0
    assert main(["explain", str(demo_case), "1"]) == 0
    assert main(["explain", str(demo_case), account]) == 0
    said = capsys.readouterr().out
    assert "Cluster 1" in said
    assert f"Account {account}" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "nothing to link"),
        (["run", "--events", "nowhere.parquet"], "say where the case folder"),
        (["run", "--events", "nowhere.parquet", "--out", "case"], "nowhere.parquet"),
        (["run", "--demo", "--events", "x"], "--demo brings its own tables"),
        (["run", "--demo", "--config", "no.toml"], "no.toml"),
        (["explain", "nocase"], "no case folder"),
        (["explain", "nocase", "a", "b", "c"], "two accounts"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(
    words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("linkage: ")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_cluster_is_exit_code_2(demo_case, capsys):
    assert main(["explain", str(demo_case), "999"]) == 2
    assert "no cluster 999" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error(demo_case):
    words = f"'{sys.executable}' -m linkage.cli.main explain '{demo_case}' 1 | head -1"
    done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_import_and_help_do_not_load_the_heavy_libraries():
    code = (
        "import sys, linkage; from linkage.cli.main import build_parser; build_parser(None); "
        "heavy = {'numpy', 'pandas', 'duckdb', 'igraph', 'numba', 'pyarrow', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_interrupt_leaves_no_half_written_case(demo_inputs, tmp_path):
    words = [sys.executable, "-m", "linkage.cli.main", "run", "--out", str(tmp_path / "case")]
    for name, path in demo_inputs.items():
        words += [f"--{name}", str(path)]
    spill = tmp_path / "spill"
    process = subprocess.Popen(
        [*words, "--tmp-dir", str(spill)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()  # it has started
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    # Python may end itself by the signal it was sent; to a shell both are 130.
    assert process.returncode in {130, -signal.SIGINT}
    assert stderr.startswith(b"linkage: interrupted")
    assert b"Traceback" not in stderr
    assert not (tmp_path / "case").exists()
