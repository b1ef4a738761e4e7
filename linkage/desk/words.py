"""What a page says in sentences: the conclusion first, then what it rests on and what to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

    from linkage.desk.facts import ClusterFacts

__all__ = [
    "EXPLANATION_WORDS",
    "FAMILY_WORDS",
    "GLOSSARY",
    "KIND_WORDS",
    "LIMITS",
    "SHORT_FAMILY_WORDS",
    "join_words",
    "name_families",
    "say_change",
    "say_conclusion",
    "say_hierarchy",
    "say_next",
    "say_summary",
    "spell_share",
]

FAMILY_WORDS: Final = {
    "payment": "payment methods",
    "issuer": "card issuers",
    "network": "network addresses",
    "client": "devices",
    "content": "prompt templates",
    "registration": "sign-up data (e-mail, phone)",
    "software": "software (user agent, TLS print)",
    "timing": "timing",
}
SHORT_FAMILY_WORDS: Final = {
    "payment": "payment",
    "issuer": "card issuer",
    "network": "network",
    "client": "devices",
    "content": "prompts",
    "registration": "sign-up data",
    "software": "software",
}
KIND_WORDS: Final = {
    "ip": "network address",
    "payment": "payment method",
    "bin": "card issuer (BIN)",
    "prompt": "prompt template",
    "email": "e-mail address",
    "email_domain": "mail domain",
    "email_pattern": "pattern of e-mail addresses",
    "tls_fingerprint": "TLS print",
    "user_agent": "user agent",
}
EXPLANATION_WORDS: Final = {
    "household": (
        "a household: few accounts, two or more of them at one address, or tied by a card or a "
        "device"
    ),
    "organisation": (
        "an organisation: more than half of the accounts at one own mail domain, or more than a "
        "household at one place most of the time"
    ),
    "gathering": (
        "a gathering (class, hackathon, build farm): accounts that share prompts and a place, for "
        "some days or most of the time, or a task of some days at one place, and nothing else"
    ),
    "tool": (
        "the users of a tool or a web service: accounts that share prompts, addresses and "
        "programs, which it may bring along, and hardly anything else, though their cards, devices "
        "or mail addresses are known"
    ),
}
GLOSSARY: Final = (
    ("bits", "What an identifier adds to the case for an account, as a power of two: 3 bits make "
     "it 8 times, 10 bits about 1,000 times as likely. Identifiers of one family share what the "
     "family says together."),
    ("confidence", "How sure linkage is that the cluster is one operator, 0 to 1. It rests on "
     "stated beliefs in each kind of conclusion: use it to rank, not as a rate of error."),
    ("q-value", "The share of false alarms to expect among clusters reported at this level of "
     "surprise. Small is strong."),
    ("risk", "Confidence, lowered for very small clusters. It orders the list, nothing more."),
    ("family", "Kinds of identifiers that tend to change together (address and network, card and "
     "bank). Only agreement between different families counts as independent."),
    ("template", "What prompts of several accounts have in common once the words that vary are "
     "taken out. Angle brackets with dots stand for what varies."),
    ("membership", "The probability that this one account belongs to the cluster."),
)  # fmt: skip
LIMITS: Final = (
    "Linked is not abusive. A family, an office and a campus are linked too; what ties accounts is "
    "shown here, and people decide what it means.",
    "Confidence rests on stated beliefs, and membership was checked on simulated worlds only: they "
    "rank, they are no error rates.",
    "When an identifier was used is shown, but not used as evidence: an address shared half a year "
    "apart counts as much as one shared in the same hour.",
    "Identifiers that nobody else holds, and signals outside the input, are not seen here.",
)
_VERDICTS: Final = {
    "operator": "These {n:,} accounts look like the work of one operator.",
    "coordinated": (
        "These {n:,} accounts act together more than chance allows; whether one operator runs them "
        "is left open."
    ),
    "shared": "These {n:,} accounts are really linked, and an innocent reason explains it.",
}
_BORDERLINE: Final = 0.9  # membership below which an account should be read by itself


def spell_share(share: float) -> str:
    """Spell a share without rounding some to none or to all.

    Examples
    --------
    >>> spell_share(0.5), spell_share(0.999), spell_share(0.001), spell_share(1.0)
    ('50%', 'over 99%', 'under 1%', '100%')
    """
    if 0 < share < 0.01:
        return "under 1%"
    if 0.99 < share < 1:
        return "over 99%"
    return f"{share:.0%}"


def join_words(words: list[str]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def name_families(families: str, *, short: bool = False) -> str:
    """Say the families of a ``families`` cell in words.

    Examples
    --------
    >>> name_families("network+payment"), name_families("content", short=True)
    ('network addresses and payment methods', 'prompts')
    """
    known = SHORT_FAMILY_WORDS if short else FAMILY_WORDS
    names = [known.get(name, name) for name in families.split("+") if name]
    return join_words(names) if names else "no family"


def say_conclusion(cluster: pd.Series[Any]) -> str:
    """Say in one sentence what a cluster is."""
    tier = str(cluster["tier"])
    template = _VERDICTS.get(tier, f"These {{n:,}} accounts are linked (tier {tier}).")
    return template.format(n=int(cluster["n_accounts"]))


def say_summary(facts: ClusterFacts) -> tuple[str, ...]:
    """Say what the conclusion rests on.

    Parameters
    ----------
    facts : ClusterFacts

    Returns
    -------
    tuple of str
    """
    cluster = facts.cluster
    count = len(facts.identifiers)
    sentences = [
        f"{count:,} shared identifier{'s' if count != 1 else ''} tie them; at least half of the "
        f"accounts rest on {name_families(str(cluster['families']))}. "
        f"{spell_share(float(cluster.get('corroborated', 0.0)))} of the accounts are supported by "
        "two independent families or more."
    ]
    if count:
        sentences.append(_say_strongest(facts))
    sentences.append(
        "Among clusters reported at this level of surprise, the share of false alarms to expect is "
        f"{float(cluster['q_value']):.1g} (the q-value)."
        if cluster["q_value"] > 0
        else "Chance practically never produces agreement like this (q-value below 1e-300)."
    )
    found = str(cluster.get("explanation") or "")
    tested = [name for name in facts.explanations["name"] if name in EXPLANATION_WORDS]
    sentences.append(
        f"An innocent explanation fits and has to be ruled out first: {found}."
        if found
        else f"None of the innocent explanations that were tested ({join_words(tested)}) stands."
    )
    return (*sentences, *_say_purpose(cluster), *say_hierarchy(cluster, facts.members))


def say_hierarchy(cluster: pd.Series[Any], members: pd.DataFrame) -> tuple[str, ...]:
    """Say what a cluster consists of and what it stands on, where the case knows it.

    Parameters
    ----------
    cluster : pandas.Series
        Its row of the clusters table.
    members : pandas.DataFrame
        Its members.

    Returns
    -------
    tuple of str
    """
    said = []
    sizes = members["cell"].value_counts().tolist() if "cell" in members else []
    if len(sizes) > 1:
        said.append(
            f"It falls into {len(sizes):,} cells, the largest of {sizes[0]:,} accounts: within a "
            "cell cards, devices or addresses are shared, between cells hardly anything but what "
            "the accounts are for."
        )
    number = int(cluster.get("infrastructure", 0))
    if number:
        said.append(
            f"Other clusters run on addresses in common with it (infrastructure {number} in the "
            "table of clusters). That is what customers of one proxy vendor look like, and no sign "
            "of one operator."
        )
    return tuple(said)


def _say_purpose(cluster: pd.Series[Any]) -> tuple[str, ...]:
    """Say how far a common purpose goes, where the case knows it."""
    purpose = float(cluster.get("purpose", float("nan")))
    if not purpose > 0:
        return ()
    said = (
        f"Prompts from templates that mostly these accounts use take {spell_share(purpose)} of "
        "their activity"
    )
    outweighs = purpose >= 0.5 and not cluster.get("explanation")
    weight = ": that outweighs a household or an organisation." if outweighs else "."
    return (said + weight,)


def _say_strongest(facts: ClusterFacts) -> str:
    best = facts.identifiers.iloc[0]
    outside = int(best["outside"])
    beyond = "nobody else" if not outside else f"{outside:,} other account{'s' * (outside != 1)}"
    return (
        f"The strongest of them is one {KIND_WORDS.get(best['kind'], best['kind'])} that "
        f"{int(best['members']):,} of the {len(facts.members):,} accounts hold, and {beyond}."
    )


def say_next(facts: ClusterFacts) -> tuple[str, ...]:
    """Say what an analyst should look at next.

    Parameters
    ----------
    facts : ClusterFacts

    Returns
    -------
    tuple of str
    """
    steps = []
    found = str(facts.cluster.get("explanation") or "")
    if found:
        steps.append(f"Check the innocent explanation first: could this be {_explain(found)}?")
    borderline = int((facts.members["probability"] < _BORDERLINE).sum())
    if borderline:
        steps.append(
            f"Read the {borderline:,} account{'s' * (borderline != 1)} with a membership below "
            f"{_BORDERLINE} one by one before acting on them; they are the last in the list of "
            "accounts."
        )
    wide = facts.identifiers[facts.identifiers["outside"] > facts.identifiers["members"]]
    if len(wide):
        verb = "is" if len(wide) == 1 else "are"
        steps.append(
            f"{len(wide):,} of the identifiers {verb} held by more accounts outside than inside "
            "(proxies, public tools, common software): never ban by those alone."
        )
    banned = int(facts.days["banned"].sum()) if len(facts.days) else 0
    if banned:
        came = int(facts.days["successors"].sum())
        steps.append(
            f"{banned:,} accounts were banned already; {came:,} more were made within three days "
            "after a ban. Look there for successors."
        )
    steps.append("Ask a colleague to argue the other side with the table of evidence at hand.")
    return tuple(steps)


def _explain(found: str) -> str:
    return EXPLANATION_WORDS.get(found, found)


def say_change(facts: ClusterFacts) -> tuple[str, ...]:
    """Say what would change the conclusion, with figures where they can be had.

    Parameters
    ----------
    facts : ClusterFacts

    Returns
    -------
    tuple of str
    """
    sentences = []
    for family, share in zip(facts.without["family"], facts.without["share"], strict=True):
        if not family:
            continue
        left = float(share)
        verdict = "still most of them" if left >= 0.5 else "no longer most of them"
        sentences.append(
            f"Without {FAMILY_WORDS.get(family, family)}, {spell_share(left)} of the "
            f"accounts would still rest on two independent families: {verdict}."
        )
    n = len(facts.members)
    broken = facts.splits[facts.splits["largest"] < 0.9 * n]
    total = len(facts.identifiers)
    if n and len(broken):
        first = broken.iloc[0]
        sentences.append(
            f"Taking identifiers away, the most widely held first, at least nine tenths of the "
            f"accounts stay connected until {int(first['removed']):,} of {total:,} are gone."
        )
    sentences.append(
        "Proof of a common employer, school or event behind the shared identifiers would explain "
        "the link innocently."
    )
    return tuple(sentences)
