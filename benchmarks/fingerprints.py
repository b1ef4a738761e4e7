"""Prompt fingerprints: how fast, how right, and beside datasketch, rensa and DuckDB.

    python -m benchmarks.fingerprints                     everything, writes results/fingerprints.md
    python -m benchmarks.fingerprints --only meet words   some sections, printed only

`--events FILE` names a Parquet file of events with texts for the section `scale`; without it the
world `seed` is simulated (5 to 25 minutes and 5 GB of disk). Libraries that are not installed
(extra `bench`) are left out, and the table says so.
"""

import argparse
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.worlds import DATA
from linkage.fingerprints import FingerprintConfig, PromptFiles, templates, write_templates
from linkage.fingerprints._prints import Winnower

RESULTS: Final = Path(__file__).parent / "results" / "fingerprints.md"
SEED: Final = 20_261
BYTES: Final = 390  # of a prompt, in the section `speed`
CORE_WORDS: Final = 48  # fixed words of a template; as many more stand in its slots
LAYOUTS: Final = {"runs of 8 to 20 words": (8, 20), "runs of 4 to 8 words": (4, 8)}
RATES: Final = (0.0, 0.15, 0.30, 0.45)
SHINGLE: Final = 5  # words, for the other libraries as well

Words = list[str]
Table = list[list[str]]


# --- texts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tongue:
    """A source of running words, and of words that may stand for others."""

    name: str
    sentences: list[Words]  # to draw from; empty for words drawn one by one
    vocabulary: npt.NDArray[np.str_]
    cumulated: npt.NDArray[np.float64]  # share of the words up to each

    def say(self, rng: np.random.Generator, n: int) -> Words:
        """Return n running words."""
        if not self.sentences:
            return [str(word) for word in self.draw(rng, n)]
        words: Words = []
        while len(words) < n:
            words += self.sentences[rng.integers(len(self.sentences))]
        return words[:n]

    def draw(self, rng: np.random.Generator, shape: Any) -> npt.NDArray[np.str_]:
        """Draw words one by one."""
        drawn: npt.NDArray[np.str_] = self.vocabulary[
            np.searchsorted(self.cumulated, rng.random(shape))
        ]
        return drawn

    def replace(self, rng: np.random.Generator, word: str, n_synonyms: int) -> str:
        """Return one of a word's synonyms, which are the same every time; 0: any word at all."""
        if n_synonyms == 0:
            return str(self.vocabulary[rng.integers(len(self.vocabulary))])
        number = int.from_bytes(word.encode()[-6:], "little") * 7919 + int(rng.integers(n_synonyms))
        return str(self.vocabulary[number * 104_729 % len(self.vocabulary)])


def make_tongue(n_words: int = 20_000) -> Tongue:
    """Make a vocabulary whose words are as unevenly common as those of a language."""
    rng = np.random.default_rng(SEED)
    letters = np.array(list("aeioutnrslcdmpbgvhf"))
    words = {"".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(n_words)}
    ranks = np.arange(len(words)) + 10
    return Tongue(
        name="words by Zipf's law",
        sentences=[],
        vocabulary=np.array(sorted(words))[rng.permutation(len(words))],
        cumulated=np.cumsum(1 / ranks) / (1 / ranks).sum(),
    )


def read_tongue() -> Tongue | None:
    """Cut real prompts into sentences, each once; None where the data is absent."""
    path = DATA / "prompts_chat" / "prompts.parquet"
    if not path.exists():
        return None
    texts = pq.read_table(path).column("prompt").to_pylist()
    parts = {part.strip() for text in texts for part in re.split(r"(?<=[.!?\n])\s+", text or "")}
    sentences = [part.split() for part in sorted(parts) if 4 <= len(part.split()) <= 40]
    words = np.array(sorted({word.lower() for sentence in sentences for word in sentence}))
    even = np.arange(1, len(words) + 1) / len(words)
    return Tongue(name="real sentences", sentences=sentences, vocabulary=words, cumulated=even)


def split_tongue(tongue: Tongue) -> list[Tongue]:
    """Deal out the sentences to two tongues, which then have none in common."""
    return [replace(tongue, sentences=tongue.sentences[start::2]) for start in (0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """What templates are made of, and what everybody else writes, slots and cover too."""

    name: str
    fixed: Tongue
    free: Tongue


def list_sources() -> list[Source]:
    """Return the sources of templates and of other texts that there are."""
    made, real = make_tongue(), read_tongue()
    sources = [Source(name=made.name, fixed=made, free=made)]
    if real is None:
        return sources
    fixed, free = split_tongue(real)
    return [
        *sources,
        Source(name="real sentences, half of them for templates alone", fixed=fixed, free=free),
        Source(
            name="real sentences, innocents write those of templates too", fixed=real, free=real
        ),
    ]


def list_tongues() -> list[Tongue]:
    """Return the sources of text that there are."""
    real = read_tongue()
    return [make_tongue(), *([real] if real else [])]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """Fixed runs of words with slots between them."""

    tongue: Tongue  # of the runs
    free: Tongue  # of the slots
    runs: list[Words]
    slot: int  # mean words of a slot

    def write(
        self,
        rng: np.random.Generator,
        rate: float = 0.0,
        n_synonyms: int = 3,
        *,
        by_sentence: bool = False,
    ) -> str:
        """Fill the slots; replace a share of the fixed words, or reword whole runs."""
        words: Words = []
        for run in self.runs:
            said = run
            if by_sentence and rng.random() < rate:
                said = self.tongue.say(rng, len(run))
            elif not by_sentence and rate:
                is_changed = rng.random(len(run)) < rate
                said = [
                    self.tongue.replace(rng, word, n_synonyms) if changed else word
                    for word, changed in zip(run, is_changed, strict=True)
                ]
            words += said
            words += self.free.say(rng, int(rng.integers(0, 2 * self.slot + 1)))
        return " ".join(words)


def draw_template(
    rng: np.random.Generator,
    tongue: Tongue,
    lengths: tuple[int, int],
    n_words: int = CORE_WORDS,
    *,
    free: Tongue | None = None,
) -> Template:
    """Draw a template of which half of the words stand in slots."""
    runs, left = [], n_words
    while left > 0:
        n = min(left, int(rng.integers(lengths[0], lengths[1] + 1)))
        runs.append(tongue.say(rng, n))
        left -= n
    slot = round(n_words / len(runs))
    return Template(tongue=tongue, free=free or tongue, runs=runs, slot=slot)


# --- other libraries -----------------------------------------------------------------------------


def cut_shingles(text: str) -> list[str]:
    """Cut a text into runs of five words."""
    words = text.lower().split()
    return [" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))]


def pair_linkage(texts: list[str]) -> set[tuple[int, int]]:
    """Pair neighbours (0 and 1, 2 and 3 ...) that share a print."""
    found = Winnower(FingerprintConfig(), b"")(pa.array(texts, pa.large_string()))
    row = np.repeat(np.arange(len(texts)), found.counts)
    seen = pd.DataFrame({"pair": row // 2, "print": found.prints, "side": row % 2})
    seen = seen.drop_duplicates()
    shared = seen.loc[seen.duplicated(["pair", "print"]), "pair"].unique()
    return {(2 * pair, 2 * pair + 1) for pair in shared.tolist()}


def pair_datasketch(texts: list[str]) -> set[tuple[int, int]]:
    """Pair neighbours whose MinHashes fall together at a Jaccard similarity of 0.5."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=0.5, num_perm=128)
    shingles = [[s.encode() for s in cut_shingles(text)] for text in texts]
    hashes = MinHash.bulk(shingles, num_perm=128)
    for i, value in enumerate(hashes):
        index.insert(i, value)
    return {(i, i + 1) for i in range(0, len(texts), 2) if i + 1 in index.query(hashes[i])}


def pair_rensa(texts: list[str]) -> set[tuple[int, int]]:
    """Pair neighbours whose MinHashes fall together at a Jaccard similarity of 0.5."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=0.5, num_perm=128, num_bands=32)
    hashes = RMinHash.from_token_sets([cut_shingles(text) for text in texts], 128, 1)
    index.insert_pairs(list(enumerate(hashes)))
    return {(i, i + 1) for i in range(0, len(texts), 2) if i + 1 in index.query(hashes[i])}


DUCKDB_MD5: Final = """
SELECT min(n) AS a, max(n) AS b FROM texts GROUP BY md5(lower(text)) HAVING count(*) > 1
"""
DUCKDB_SHINGLES: Final = """
WITH words AS (
    SELECT n, regexp_split_to_array(lower(text), '\\s+') AS w FROM texts
), shingles AS (
    SELECT DISTINCT n, unnest([hash(w[i : i + 4]) FOR i IN range(1, greatest(len(w) - 3, 2))]) AS s
    FROM words
), shared AS (
    SELECT s FROM shingles GROUP BY s HAVING count(*) > 1
)
SELECT DISTINCT a.n AS a, b.n AS b
FROM shared JOIN shingles a USING (s) JOIN shingles b USING (s)
WHERE a.n % 2 = 0 AND b.n = a.n + 1
"""


def pair_duckdb(query: str) -> Callable[[list[str]], set[tuple[int, int]]]:
    """Return the pairing by a query over a table of texts."""

    def pair(texts: list[str]) -> set[tuple[int, int]]:
        with duckdb.connect(config={"threads": 1}) as connection:
            table = pa.table({"n": np.arange(len(texts)), "text": texts})
            connection.register("texts", table)
            return set(connection.execute(query).fetchall())

    return pair


METHODS: Final[dict[str, tuple[str, Callable[[list[str]], set[tuple[int, int]]], int]]] = {
    # name: package, function, texts of the timing
    "linkage, prints": ("linkage", pair_linkage, 200_000),
    "datasketch, MinHash 128, LSH 0.5": ("datasketch", pair_datasketch, 4_000),
    "rensa, R-MinHash 128, LSH 0.5": ("rensa", pair_rensa, 20_000),
    "DuckDB, md5 of the prompt": ("duckdb", pair_duckdb(DUCKDB_MD5), 200_000),
    "DuckDB, all runs of five words": ("duckdb", pair_duckdb(DUCKDB_SHINGLES), 20_000),
}


# --- sections ------------------------------------------------------------------------------------


def write_prompts(n: int, n_bytes: int = BYTES) -> list[str]:
    """Write prompts of nearly equal length, of words by Zipf's law."""
    rng, tongue = np.random.default_rng(SEED), make_tongue()
    n_words = int(n_bytes / 5.5)
    drawn = tongue.draw(rng, (n, n_words))
    return [" ".join(row)[:n_bytes] for row in drawn.tolist()]


def measure_speed(_: argparse.Namespace) -> Iterator[str]:
    """Time each library on the same prompts, on one thread."""
    yield f"## Speed: one thread, prompts of {BYTES} bytes, texts in, pairs of neighbours out"
    texts = write_prompts(max(n for _, _, n in METHODS.values()))
    rows = [["method", "prompts", "prompts/s"]]
    for name, (package, pair, n) in METHODS.items():
        if importlib.util.find_spec(package) is None:
            rows.append([name, "not installed", ""])
            continue
        pair(texts[:100])
        seconds = min(_time(pair, texts[:n]) for _ in range(3))
        rows.append([name, f"{n:,}", f"{n / seconds:,.0f}"])
    rows += [_time_kernel(texts), _time_kernel([_accent(text) for text in texts], "accented ")]
    yield from draw_table(rows)


def _time(function: Callable[[Any], Any], argument: Any) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def _time_kernel(texts: list[str], what: str = "") -> list[str]:
    column = pa.array(texts, pa.large_string())
    winnower = Winnower(FingerprintConfig(), b"")
    seconds = min(_time(winnower, column) for _ in range(7))
    size = int(column.buffers()[2].size) / len(texts)
    name = f"linkage, the kernel alone ({what}{size:.0f} bytes a prompt)"
    return [name, f"{len(texts):,}", f"{len(texts) / seconds:,.0f}"]


def _accent(text: str) -> str:
    return text.replace("a", "\u00e4").replace("o", "\u00f6")


def measure_meets(_: argparse.Namespace) -> Iterator[str]:
    """Count the pairs of one template, and of innocents, that meet."""
    yield "## Do two prompts of one template meet, and do two innocents?"
    yield ""
    yield "Half of the words stand in slots. 2,000 pairs a cell; innocents write 20 to 100 words."
    tongues = list_tongues()
    head = [f"{layout}, {t.name}" for t in tongues for layout in LAYOUTS]
    rows = [["method", *head, *(f"innocents, {t.name}" for t in tongues)]]
    pairs = [_write_pairs(t, lengths) for t in tongues for lengths in LAYOUTS.values()]
    pairs += [_write_innocents(tongue) for tongue in tongues]
    for name, (package, pair, _n) in METHODS.items():
        if importlib.util.find_spec(package) is not None:
            rows.append([name, *(f"{2 * len(pair(texts)) / len(texts):.4f}" for texts in pairs)])
    yield from draw_table(rows)


def _write_pairs(tongue: Tongue, lengths: tuple[int, int], n: int = 2_000) -> list[str]:
    rng = np.random.default_rng(SEED + 1)
    drawn = [draw_template(rng, tongue, lengths) for _ in range(n)]
    return [template.write(rng) for template in drawn for _ in range(2)]


def _write_innocents(tongue: Tongue, n: int = 2_000) -> list[str]:
    """Pairs of innocents; of real sentences one half is for one, the other for the other."""
    rng = np.random.default_rng(SEED + 2)
    halves = split_tongue(tongue)
    return [
        " ".join(half.say(rng, int(rng.integers(20, 101)))) for _ in range(n) for half in halves
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """Prompts of accounts that follow templates, among innocents."""

    events: pa.Table
    holders: list[set[str]]  # of each template


def gather_crowd(
    source: Source,
    rate: float,
    *,
    n_synonyms: int = 3,
    by_sentence: bool = False,
    lengths: tuple[int, int] = (8, 20),
    n_templates: int = 20,
    n_holders: int = 60,
    n_prompts: int = 20,
    n_innocents: int = 3_000,
) -> Crowd:
    """Write the prompts of templates' holders, 30 % of them cover, and of innocents."""
    rng = np.random.default_rng(SEED + 3)
    ids, texts, holders = [], [], []
    for number in range(n_templates):
        template = draw_template(rng, source.fixed, lengths, free=source.free)
        names = [f"t{number:02}_{i:03}" for i in range(n_holders)]
        holders.append(set(names))
        for name in np.repeat(names, n_prompts).tolist():
            is_cover = rng.random() < 0.3
            text = template.write(rng, rate, n_synonyms, by_sentence=by_sentence)
            ids.append(name)
            texts.append(" ".join(source.free.say(rng, 60)) if is_cover else text)
    for i in np.repeat(np.arange(n_innocents), 5).tolist():
        ids.append(f"z{i:05}")
        texts.append(" ".join(source.free.say(rng, int(rng.integers(20, 101)))))
    return Crowd(events=pa.table({"account_id": ids, "prompt": texts}), holders=holders)


def score_crowd(crowd: Crowd) -> dict[str, float]:
    """Compare the identifiers found with the templates that were written."""
    held = templates(crowd.events, config=FingerprintConfig(max_skeletons=0)).holdings.to_pandas()[
        ["account_id", "template_id"]
    ]
    size = held.groupby("template_id").size()
    scores: dict[str, list[float]] = {"any": [], "main": [], "one": [], "pieces": []}
    for names in crowd.holders:
        own = held[held["account_id"].isin(names)]
        n = own.groupby("template_id").size()
        is_pure = (n >= 0.9 * size[n.index]) & (n >= 2)
        pure = own[own["template_id"].isin(n.index[is_pure])]
        scores["any"].append(pure["account_id"].nunique() / len(names))
        scores["main"].append(n[is_pure].max() / len(names) if is_pure.any() else 0.0)
        scores["one"].append(float((n[is_pure] >= 0.2 * len(names)).sum() == 1))
        scores["pieces"].append(float(is_pure.sum()))
    return {name: float(np.mean(values)) for name, values in scores.items()}


PARAPHRASES: Final[dict[str, dict[str, Any]]] = {
    "words, 3 synonyms each": {},
    "words, any other word": {"n_synonyms": 0},
    "words, 3 synonyms, runs of 4 to 8": {"lengths": (4, 8)},
    "words, 3 synonyms, 8 accounts of 20 prompts": {"n_holders": 8},
    "whole runs reworded": {"by_sentence": True},
}


def measure_paraphrase(_: argparse.Namespace) -> Iterator[str]:
    """Count the accounts that still hold an identifier of their template."""
    yield "## What paraphrase leaves"
    yield ""
    yield "20 templates (half slots) of 60 accounts with 20 prompts each, 30 % of them cover, among"
    yield "3,000 innocents. Per template: share of its accounts that hold an identifier of which"
    yield "90 % of the holders are its own / that hold its widest identifier / number of"
    yield "identifiers."
    for source in list_sources():
        rows = [[source.name, *(f"{rate:.0%}" for rate in RATES)]]
        for name, said in PARAPHRASES.items():
            scores = [score_crowd(gather_crowd(source, rate, **said)) for rate in RATES]
            cells = [f"{s['any']:.3f} / {s['main']:.3f} / {s['pieces']:.1f}" for s in scores]
            rows.append([name, *cells])
        yield ""
        yield from draw_table(rows)


def measure_unity(_: argparse.Namespace) -> Iterator[str]:
    """Count the popular templates that are one identifier."""
    yield "## Is one popular template one identifier?"
    yield ""
    yield "40 templates held by 300 accounts with three prompts each; one means that exactly one"
    yield "identifier is held by a fifth of the accounts and by nearly nobody else."
    rows = [["texts", "layout", "one identifier", "identifiers", "widest held by"]]
    for source in list_sources():
        for layout, lengths in LAYOUTS.items():
            crowd = gather_crowd(
                source, 0.0, lengths=lengths, n_templates=40, n_holders=300, n_prompts=3
            )
            s = score_crowd(crowd)
            cells = [f"{s['one']:.3f}", f"{s['pieces']:.1f}", f"{s['main']:.3f}"]
            rows.append([source.name, layout, *cells])
    yield from draw_table(rows)


def measure_real(_: argparse.Namespace) -> Iterator[str]:
    """Compare near-duplicate groups of real prompts with their titles."""
    yield "## Real prompts: texts of one title are one prompt"
    folder = DATA / "prompts_chat"
    if not folder.is_dir():
        yield ""
        yield "Skipped: no folder prompts_chat under LINKAGE_DATA."
        return
    yield ""
    yield "Every text is an account. Two texts are near-duplicates if so large a share of the"
    yield "templates of both is common. Equal texts stand under several titles too: precision is a"
    yield "lower bound."
    frame = pd.read_parquet(folder / "prompts.parquet")
    truth = pd.read_csv(folder / "truth.csv", dtype=str)
    title = truth.set_index(truth.columns[0])[truth.columns[1]]
    events = frame[["prompt_id", "prompt"]].rename(columns={"prompt_id": "account_id"})
    held = templates(events, config=FingerprintConfig(max_skeletons=0)).holdings.to_pandas()
    text = events.set_index("account_id")["prompt"].str.casefold().str.split().str.join(" ")
    sizes = title.groupby(title).size()
    n_true = int((sizes * (sizes - 1) // 2).sum())
    pairs = _compare_holders(held)
    same = title[pairs["a"]].to_numpy() == title[pairs["b"]].to_numpy()
    equal = same | (text[pairs["a"]].to_numpy() == text[pairs["b"]].to_numpy())
    rows = [["templates in common", "pairs", "of one title", "or equal text", "recall of titles"]]
    for least in (0.2, 0.35, 0.5, 0.8):
        chosen = pairs["likeness"].to_numpy() >= least
        cells = [f"{same[chosen].mean():.3f}", f"{equal[chosen].mean():.3f}"]
        recall = f"{same[chosen].sum() / n_true:.3f}"
        rows.append([f"at least {least:.0%}", f"{chosen.sum():,}", *cells, recall])
    yield from draw_table(rows)


def _compare_holders(held: pd.DataFrame) -> pd.DataFrame:
    """Compare the sets of templates of all texts that share one of at most 50 holders."""
    n = held.groupby("account_id").size()
    part = held[held.groupby("template_id")["account_id"].transform("size") <= 50]
    part = part[["account_id", "template_id"]]
    pairs = part.merge(part, on="template_id")
    pairs = pairs[pairs["account_id_x"] < pairs["account_id_y"]]
    common = pairs.groupby(["account_id_x", "account_id_y"]).size()
    a, b = common.index.get_level_values(0), common.index.get_level_values(1)
    likeness = common.to_numpy() / (n[a].to_numpy() + n[b].to_numpy() - common.to_numpy())
    return pd.DataFrame({"a": a, "b": b, "likeness": likeness})


def measure_scale(args: argparse.Namespace) -> Iterator[str]:
    """Run prompts to templates, the command's way, in a process of its own."""
    yield "## Scale: prompts in a Parquet file to templates and holdings, two threads"
    yield ""
    with tempfile.TemporaryDirectory() as temporary:
        events = args.events or simulate_events(Path(temporary))
        n_all = pq.ParquetFile(events).metadata.num_rows
        rows = [["prompts", "wall s", "CPU s", "peak GB", "templates", "holdings", "prompts/s"]]
        for n in sorted({min(n, n_all) for n in args.prompts}):
            rows.append(_run_scale(events, n))
            print(rows[-1], file=sys.stderr, flush=True)
    yield from draw_table(rows)


def simulate_events(folder: Path) -> Path:
    """Simulate the case that was made public, with texts."""
    words = ["simulate", "--preset", "seed", "--out", str(folder / "world")]
    subprocess.run([sys.executable, "-m", "linkage.cli.main", *words], check=True)
    return folder / "world" / "events.parquet"


def _run_scale(events: Path, n: int) -> list[str]:
    words = [sys.executable, "-m", "benchmarks.fingerprints", "--child", str(n)]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*words, "--events", str(events)], stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode != 0:
            return [f"{n:,}", f"failed: exit code {process.returncode}"]
        said.seek(0)
        counts = json.loads(said.read())
    cost = [f"{seconds:.0f}", f"{_cpu(usage):.0f}", f"{usage.ru_maxrss / 1e6:.2f}"]
    found = [f"{counts['templates']:,}", f"{counts['holdings']:,}", f"{n / seconds:,.0f}"]
    return [f"{n:,}", *cost, *found]


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRows:
    """The first rows of a Parquet file of events; can be read twice."""

    path: Path
    n: int

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches."""
        left = self.n
        for batch in PromptFiles(path=str(self.path)):
            if left <= 0:
                return
            yield batch.slice(0, left)
            left -= len(batch)


def run_child(args: argparse.Namespace) -> None:
    """Find templates, write them and print how many there are."""
    found = templates(FirstRows(path=args.events, n=args.child), threads=2)
    with tempfile.TemporaryDirectory() as folder:
        write_templates(found, Path(folder))
    counts = {"templates": found.templates.num_rows, "holdings": found.n_holdings}
    print(json.dumps(counts))


SECTIONS: Final[dict[str, Callable[[argparse.Namespace], Iterator[str]]]] = {
    "speed": measure_speed,
    "meet": measure_meets,
    "words": measure_paraphrase,
    "one": measure_unity,
    "real": measure_real,
    "scale": measure_scale,
}


def draw_table(rows: Table) -> Iterator[str]:
    """Draw a table in Markdown; the first row is its head."""
    for number, row in enumerate(rows):
        if number == 0:
            yield ""
        yield "| " + " | ".join(row) + " |"
        if number == 0:
            yield "|" + "---|" * len(row)


def main() -> None:
    """Measure, print, and write the results where nothing was left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, help="sections; all by default")
    parser.add_argument("--events", type=Path, help="Parquet with account_id, prompt, ts")
    parser.add_argument("--prompts", nargs="*", type=int, default=[28_800_000, 48_800_000])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        run_child(args)
        return
    lines = ["# Prompt fingerprints", "", "Made by `python -m benchmarks.fingerprints`."]
    for name in args.only or SECTIONS:
        lines.append("")
        for line in SECTIONS[name](args):
            print(line, flush=True)
            lines.append(line)
    if not args.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
