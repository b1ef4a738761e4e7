"""``linkage fingerprint``: the templates behind a file of prompts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from linkage.fingerprints import Templates

__all__ = ["add_arguments", "run"]

DESCRIPTION: Final = """\
Find the templates behind prompts, and who used which. A template is what the prompts of several
accounts have in common: its slots, cover traffic and small rewordings fall away. Only keyed hashes
and redacted skeletons are written, never a prompt.
"""

EPILOG: Final = """\
what is written to DIR:
  templates.parquet   template_id, skeleton, n_accounts, n_prompts, public, first_seen, last_seen
  holdings.parquet    account_id, template_id, count, first_seen, last_seen

examples:
  linkage fingerprint events.parquet --out prints
  linkage fingerprint 'logs/*.jsonl' --out prints --account user --prompt text --ts at
  linkage fingerprint events.csv --out prints --key-file case.key --known known_tools.txt

`public` describes templates that many otherwise unrelated accounts hold, or that --known explains;
none is left out. Without --key-file anybody who guesses a prompt can compute its template_id.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill in the command's arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("file", help="Parquet, CSV or JSON Lines: a file, a folder or a glob")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the two tables")
    parser.add_argument(
        "--account", default="account_id", metavar="COLUMN", help="account's column"
    )
    parser.add_argument("--prompt", default="prompt", metavar="COLUMN", help="prompt's column")
    parser.add_argument(
        "--ts", metavar="COLUMN", help="time's column (default: ts if there is one)"
    )
    parser.add_argument(
        "--key-file", metavar="FILE", help="file with the case's secret key, of 32 bytes or more"
    )
    parser.add_argument(
        "--known", metavar="FILE", help="prompts of public tools; a line of --- between two"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads (default: 2)")
    parser.add_argument(
        "--shingle-words", type=int, default=None, metavar="N", help="words a shingle (default: 5)"
    )
    parser.add_argument(
        "--window", type=int, default=None, metavar="N", help="shingles a window (default: 8)"
    )
    parser.add_argument(
        "--min-accounts", type=int, default=None, metavar="N", help="fewest holders (default: 2)"
    )
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="templates printed (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    """Find the templates, write the two tables, print the most widely held.

    Returns
    -------
    int
        0.
    """
    from linkage.fingerprints import (
        FingerprintConfig,
        PromptFiles,
        templates,
        write_templates,
    )
    from linkage.prompts import derive_key, read_key, read_known_prompts

    columns = {"account_id": args.account, "prompt": args.prompt}
    if args.ts is not None:
        columns["ts"] = args.ts
    given = {
        name: getattr(args, name)
        for name in ("shingle_words", "window", "min_accounts")
        if getattr(args, name) is not None
    }
    found = templates(
        PromptFiles(path=args.file, columns=columns),
        config=FingerprintConfig(**given),
        key=b"" if args.key_file is None else derive_key(read_key(args.key_file)),
        threads=args.threads,
        known=() if args.known is None else read_known_prompts(args.known),
    )
    write_templates(found, Path(args.out))
    _print_summary(found, args.out, args.top)
    return 0


def _print_summary(found: "Templates", out: str, top: int) -> None:
    counts = found.counts
    table = found.templates
    print(
        f"{counts['prompts']:,} prompts, {table.num_rows:,} templates, "
        f"{found.n_holdings:,} holdings written to {out}"
    )
    for reason in ("no_account", "no_prompt", "prompt_cut"):
        if counts[reason]:
            print(f"  {counts[reason]:,} rows: {reason.replace('_', ' ')}")
    widest = table.sort_by([("n_accounts", "descending"), ("template_id", "ascending")])
    for row in widest.slice(0, top).to_pylist():
        mark = " public" if row["public"] else ""
        print(f"{row['n_accounts']:>8,} accounts {row['n_prompts']:>9,} prompts{mark}")
        print(f"    {row['template_id']}  {(row['skeleton'] or '')[:110]}")
