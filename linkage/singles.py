"""Prompt fingerprints, of which nearly all are held by one account alone: counted, not kept.

What one account holds alone ties it to nobody; the null needs to know no more than how many of
them each account has. There may be as many as there are prompts, so they must not stand in memory
as texts, nor be grouped as such: keys of 64 bits tell which fingerprints have one account, and
only the others are read as text in a second scan.
"""

from typing import Final

import pyarrow as pa

from linkage.config import Config
from linkage.engine import Engine
from linkage.groups import FINGERPRINTS, PLAIN, describe_fingerprints, find_fingerprints
from linkage.readings import Reading

__all__ = ["ALONE", "hold_fingerprints"]

ALONE: Final = pa.schema(
    [("account", pa.int32()), ("kind", pa.string()), ("n", pa.int64()), ("count", pa.int64())]
)

# A value that is spelt here or there in another way, or that another source brings, may be the
# same as one that is alone in this scan: it is kept.
KNOWN_KEYS: Final = """
CREATE TABLE known_keys AS
SELECT DISTINCT hash(value) AS key
FROM (
    SELECT value FROM meanings WHERE kind = {prompt}
    UNION ALL
    SELECT value FROM holdings
) AS known
"""

ROWS: Final = """
SELECT hash(account) AS account, hash({value}) AS key
FROM ({parsed}) AS parsed
WHERE {good} AND {plain}
"""

# Two accounts whose keys are equal would pass for one; of n accounts that happens with n^2 / 2^65.
COUNT: Final = """
CREATE TABLE key_counts AS
WITH seen AS ({rows}),
held AS (
    SELECT key, min(account) AS low, max(account) AS high, count(*) AS n FROM seen GROUP BY key
),
judged AS (
    SELECT held.*, held.low <> held.high OR known_keys.key IS NOT NULL AS is_kept
    FROM held
    LEFT JOIN known_keys ON held.key = known_keys.key
)
SELECT CASE WHEN is_kept THEN key END AS key, CASE WHEN NOT is_kept THEN low END AS account,
    count(*) AS n_values, sum(n) AS n
FROM judged
GROUP BY 1, 2
"""

# A kind of which nothing is shared is still a kind of the run: one value stands for it.
KNOW_ONE: Final = """
INSERT INTO known_keys
WITH seen AS ({rows})
SELECT min(key) FROM seen HAVING min(key) IS NOT NULL
"""

FIND_KEPT: Final = "SELECT key FROM key_counts WHERE key IS NOT NULL LIMIT 1"

READ_KEPT: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (
    SELECT account, {value} AS value, {first} AS seen
    FROM parsed
    WHERE {good} AND {plain}
)
SELECT {source}, {prompt}, any_value(good.account), any_value(good.value), count(*),
    CAST(min(good.seen) AS TIMESTAMP), CAST(max(good.seen) AS TIMESTAMP)
FROM good
JOIN key_counts ON hash(good.value) = key_counts.key
GROUP BY hash(good.account), key_counts.key
"""

# What is plain is spelt as it came.
MEAN_ITSELF: Final = """
INSERT INTO meanings
SELECT DISTINCT {prompt}, value, {prompt}, value
FROM raw
WHERE kind = {prompt} AND {plain} AND NOT EXISTS (
    SELECT 1 FROM meanings AS known
    WHERE known.raw_kind = {prompt} AND known.raw_value = raw.value
)
"""

COUNT_ALONE: Final = """
SELECT account_codes.code AS account, CAST(sum(key_counts.n_values) AS BIGINT) AS n,
    CAST(sum(key_counts.n) AS BIGINT) AS "count"
FROM key_counts
JOIN account_codes ON key_counts.account = hash(account_codes.raw)
GROUP BY account_codes.code
ORDER BY account_codes.code
"""


def hold_fingerprints(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    odd: frozenset[int],
) -> pa.Table:
    """Append the prompt fingerprints that may be shared to `raw` and `meanings`.

    Parameters
    ----------
    engine : Engine
        Holds the groups of everything else, and codes of accounts.
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.
    odd : frozenset of int
        Places of the sources with fingerprints that were grouped already, as they need spelling.

    Returns
    -------
    pyarrow.Table
        `ALONE`: of each account, how many fingerprints were left out that it alone holds, and how
        often they were seen; sorted.
    """
    slots = {i: slot for i, r in enumerate(readings) if (slot := find_fingerprints(r)) is not None}
    if not slots:
        return ALONE.empty_table()
    prompt = kinds.index(FINGERPRINTS)
    words = {i: describe_fingerprints(readings[i], slot, config) for i, slot in slots.items()}
    for i in words.keys() - odd:
        words[i]["plain"] = f"{words[i]['value']} <> ''"  # what is known already need not be asked
    rows = " UNION ALL ".join(ROWS.format(**said) for said in words.values())
    engine.drop("known_keys", "key_counts")
    engine.execute(KNOWN_KEYS.format(prompt=prompt))
    engine.execute(COUNT.format(rows=rows))
    if not engine.query(FIND_KEPT).num_rows:
        engine.execute(KNOW_ONE.format(rows=rows))
        engine.drop("key_counts")
        engine.execute(COUNT.format(rows=rows))
    alone = engine.query(COUNT_ALONE)
    for i, said in words.items():
        sql = READ_KEPT.format(source=i, prompt=prompt, **said)
        engine.execute(sql, source=readings[i].source.label)
    plain = PLAIN.format(value="value", most=config.limits.max_value_chars)
    engine.execute(MEAN_ITSELF.format(prompt=prompt, plain=plain))
    engine.drop("known_keys", "key_counts")
    kind = pa.array([FINGERPRINTS] * len(alone), pa.string())
    return alone.add_column(1, "kind", kind).cast(ALONE)
