"""Settings: what kinds of identifier mean, how columns are called, the numbers of the method.

A configuration is read from ``linkage.toml`` or built in Python; it is frozen, checked when it is
made, and written whole into a case's manifest, so that a run can be repeated.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from linkage.errors import ConfigError, MissingInputError
from linkage.schema import INPUTS

_T = TypeVar("_T")

__all__ = [
    "KINDS",
    "Config",
    "EmbeddingConfig",
    "KindConfig",
    "Limits",
    "MethodConfig",
    "load_config",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindConfig:
    """How one kind of identifier counts as evidence.

    Attributes
    ----------
    family : str
        Kinds of one family are not independent and never corroborate each other.
    chosen : bool
        Whether two values of the family that are held by the same accounts are evidence by
        themselves (two wallets are), or come together anyway (the gateways of a campus, the
        prompts of one program).
    table, column : str or None
        The column of an input table that holds the values; None for kinds that are known already
        or that come in the observations table.
    """

    family: str
    chosen: bool = False
    table: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        """Refuse a half-declared column."""
        if not self.family:
            raise ConfigError("a kind needs a family, such as family = 'network'")
        if (self.table is None) != (self.column is None):
            raise ConfigError(
                "a kind names both table and column, or neither: "
                f"got table={self.table!r}, column={self.column!r}"
            )
        if self.table is not None and self.table not in INPUTS:
            raise ConfigError(f"table must be one of {sorted(INPUTS)}; got {self.table!r}")


KINDS: Final[dict[str, KindConfig]] = {
    "payment": KindConfig(family="payment", chosen=True),
    "bin": KindConfig(family="issuer"),
    "ip": KindConfig(family="network"),
    "device": KindConfig(family="client"),
    "user_agent": KindConfig(family="software"),
    "tls_fingerprint": KindConfig(family="software"),
    "prompt": KindConfig(family="content"),
    "email": KindConfig(family="registration"),
    "email_pattern": KindConfig(family="registration"),
    "email_domain": KindConfig(family="registration"),
    "phone": KindConfig(family="registration"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingConfig:
    """A column of vectors whose neighbourhoods are identifiers of one kind."""

    table: str  # of the input, such as "events" or "accounts"
    column: str  # lists of numbers, all of one length
    # What is close in meaning is often one text: no evidence beside the text's own templates.
    family: str = "content"
    min_similarity: float = (
        0.0  # cosine to the centre of a neighbourhood; 0 learns it from the data
    )
    max_chance: float = 1e-6  # share of random pairs of vectors that are closer than what is learnt

    def __post_init__(self) -> None:
        """Refuse what names no column, and numbers out of range."""
        if self.table not in INPUTS or not self.column or not self.family:
            raise ConfigError(
                f"an embedding needs a family, a column, and a table of {sorted(INPUTS)}; got "
                f"family={self.family!r}, column={self.column!r}, table={self.table!r}"
            )
        if not 0 <= self.min_similarity <= 1:
            raise ConfigError(
                f"min_similarity must lie between 0 and 1; got {self.min_similarity!r}"
            )
        if not 0 < self.max_chance < 1:
            raise ConfigError(f"max_chance must lie between 0 and 1; got {self.max_chance!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused as unusable, whatever it says."""

    max_value_chars: int = 4_096  # characters of an identifier
    max_prompt_chars: int = 1_000_000  # characters of a prompt
    min_year: int = 2000  # timestamps before this year are taken for errors
    max_year: int = 2100  # timestamps from this year on are taken for errors

    def __post_init__(self) -> None:
        """Refuse limits that would refuse everything."""
        _require_positive(self, "max_value_chars", "max_prompt_chars")
        if not 1 <= self.min_year < self.max_year <= 9999:
            raise ConfigError(
                "limits need 1 <= min_year < max_year <= 9999; "
                f"got {self.min_year} and {self.max_year}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodConfig:
    """The numbers of the method; the defaults come from statistics, not from a data set."""

    fdr: float = 0.01  # nominal false-discovery rate of validated overlaps and of clusters
    max_identifiers: int = 256  # of an account that take part: rarest and commonest in turn
    min_bits: float = 3.0  # support weaker than this, odds of 8 to 1, does not count as support
    max_family_bits: float = 16.0  # most that one family adds to an account's score
    # Odds needed where one family alone supports a link; of an account to a cluster, less as the
    # second one comes near min_bits.
    single_family_bits: float = 8.0
    # Share of an operator's accounts that may look like strangers in any one family: bought ones,
    # or such as send nothing but cover. No family says less than log2 of it.
    evading: float = 0.25
    min_probability: float = 0.9  # posterior from which on an account is reported as a member
    min_accounts: int = 2  # smallest cluster that is reported
    rounds: int = 10  # most rounds of attribution and merging
    strata: tuple[str, ...] = ("country",)  # account attributes that the null holds fixed
    # Families of which one brings the other: a program has its own client print and its own
    # prompts, a device its own browser, a gateway its own clients, a card its issuer, a town its
    # own bank. They never count as two.
    dependent_families: tuple[str, ...] = (
        "client+software",
        "content+software",
        "network+software",
        "issuer+payment",
        "issuer+network",
    )
    # "a>b": accounts that share the first share the second anyway. What a program's users have in
    # common beside it counts only as far as its other users lack it,
    # but for users whom other families tie to each other.
    common_causes: tuple[str, ...] = ("software>content", "software>network")

    # Families of what separate operators buy from one vendor: never a reason to merge clusters.
    shared_families: tuple[str, ...] = ("network", "software", "issuer")

    def __post_init__(self) -> None:
        """Refuse numbers outside the range in which they mean something."""
        _require_positive(self, "max_identifiers", "max_family_bits", "rounds")
        for pair in self.dependent_families:
            if len(pair.split("+")) != 2 or not all(pair.split("+")):
                raise ConfigError(f"method.dependent_families must say 'a+b'; got {pair!r}")
        for pair in self.common_causes:
            if len(pair.split(">")) != 2 or not all(pair.split(">")):
                raise ConfigError(f"method.common_causes must say 'a>b'; got {pair!r}")
        for name in ("fdr", "evading", "min_probability"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(f"method.{name} must lie between 0 and 1; got {value!r}")
        for name in ("min_bits", "max_family_bits", "single_family_bits"):
            value = getattr(self, name)
            if not value >= 0:  # nor is nan
                raise ConfigError(f"method.{name} must be 0 or more bits; got {value!r}")
        if self.min_accounts < 2:
            raise ConfigError(f"method.min_accounts must be at least 2; got {self.min_accounts!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a run can be told.

    Attributes
    ----------
    columns : mapping of table -> mapping of contract column -> column in the input
        Renamed columns; a column that is not named here is looked for under its own name.
    kinds : mapping of kind -> KindConfig
        All kinds known to the run, the built-in ones included.
    embeddings : mapping of kind -> EmbeddingConfig
        Columns of vectors. Each is a kind, whether or not `kinds` names it too.
    public_domains : tuple of str
        Further mail domains that anyone can get an address at; they carry nothing.
    """

    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    kinds: Mapping[str, KindConfig] = field(default_factory=lambda: dict(KINDS))
    embeddings: Mapping[str, EmbeddingConfig] = field(default_factory=dict)
    public_domains: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    method: MethodConfig = field(default_factory=MethodConfig)

    def __post_init__(self) -> None:
        """Refuse columns of tables, or tables, that the contract does not have."""
        for table, renamed in self.columns.items():
            if table not in INPUTS:
                raise ConfigError(_unknown("table", f"columns.{table}", table, INPUTS))
            known = [column.name for column in INPUTS[table].columns]
            for name in renamed:
                if name not in known:
                    raise ConfigError(_unknown("column", f"columns.{table}.{name}", name, known))

        of_vectors = {name: KindConfig(family=e.family) for name, e in self.embeddings.items()}
        object.__setattr__(self, "kinds", of_vectors | dict(self.kinds))

    def get_kind(self, kind: str) -> KindConfig:
        """Return how a kind counts; a kind never heard of is a chosen one, a family of its own."""
        return self.kinds.get(kind) or KindConfig(family=kind, chosen=True)

    def get_column(self, table: str, name: str) -> str:
        """Return what a contract column is called in the input."""
        return self.columns.get(table, {}).get(name, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain dicts, lists and numbers, for the manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build a configuration from what a TOML file says.

        Parameters
        ----------
        settings : mapping
            Tables ``columns``, ``kinds``, ``embeddings``, ``limits``, ``method`` and the list
            ``public_domains``.

        Returns
        -------
        Config

        Raises
        ------
        ConfigError
            If a name is unknown or a value has the wrong type or lies out of range.

        Examples
        --------
        >>> config = Config.from_dict({"kinds": {"wallet": {"family": "payment"}}})
        >>> config.get_kind("wallet").family
        'payment'
        """
        _check_names(settings, [f.name for f in fields(cls)], "")
        kinds = dict(KINDS)
        for kind, said in _get_table(settings, "kinds").items():
            kinds[kind] = _merge(kinds.get(kind, KindConfig(family=kind)), said, f"kinds.{kind}")
        return cls(
            columns={
                table: _check_renamed(renamed, table)
                for table, renamed in _get_table(settings, "columns").items()
            },
            kinds=kinds,
            embeddings={
                kind: _read_embedding(said, f"embeddings.{kind}")
                for kind, said in _get_table(settings, "embeddings").items()
            },
            public_domains=_get_texts(settings.get("public_domains", ()), "public_domains"),
            limits=_merge(Limits(), _get_table(settings, "limits"), "limits"),
            method=_merge(MethodConfig(), _get_table(settings, "method"), "method"),
        )


def load_config(path: str | Path) -> Config:
    """Read a configuration from a TOML file.

    Parameters
    ----------
    path : str or Path
        The file, such as ``linkage.toml``.

    Returns
    -------
    Config

    Raises
    ------
    MissingInputError
        If there is no such file.
    ConfigError
        If it is not TOML, or says something that linkage does not know.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # some editors begin with a mark
    except OSError as error:
        raise MissingInputError(
            f"cannot read the configuration {str(path)!r}: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration {str(path)!r} is not UTF-8 text") from error
    try:
        return Config.from_dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the configuration {str(path)!r} is not valid TOML: {error}") from error


def _read_embedding(said: object, where: str) -> EmbeddingConfig:
    if not isinstance(said, Mapping) or not {"table", "column"} <= set(said):
        raise ConfigError(f"{where} must name a table and a column; got {said!r}")
    named = EmbeddingConfig(
        table=_get_text(said["table"], f"{where}.table"),
        column=_get_text(said["column"], f"{where}.column"),
    )
    return _merge(named, said, where)


def _get_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where} must be a text; got {value!r}")
    return value


def _merge(default: _T, said: object, where: str) -> _T:
    """Replace fields of a settings object by what was said, checking names and types."""
    if not isinstance(said, Mapping):
        raise ConfigError(f"{where} must be a table of settings; got {said!r}")
    names = [f.name for f in fields(default)]  # type: ignore[arg-type]
    _check_names(said, names, f"{where}.")
    values = {
        name: _convert(value, getattr(default, name), f"{where}.{name}")
        for name, value in said.items()
    }
    return replace(default, **values)  # type: ignore[type-var]


def _convert(value: object, default: object, where: str) -> object:
    """Check a value against the type of its default; whole numbers pass for real ones."""
    if isinstance(default, tuple):
        return _get_texts(value, where)
    if value is None and default is None:
        return None
    expected = str if default is None else type(default)
    if expected is float and type(value) is int:
        return float(value)
    if type(value) is not expected:
        raise ConfigError(f"{where} must be {expected.__name__}; got {value!r}")
    return value


def _get_texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{where} must be a list of texts; got {value!r}")
    return tuple(value)


def _get_table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}] must be a table; got {table!r}")
    return table


def _check_renamed(renamed: object, table: str) -> dict[str, str]:
    if not isinstance(renamed, Mapping) or not all(isinstance(v, str) for v in renamed.values()):
        raise ConfigError(
            f"[columns.{table}] must say contract_column = 'your column'; got {renamed!r}"
        )
    return dict(renamed)


def _check_names(said: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in said:
        if name not in known:
            raise ConfigError(_unknown("setting", f"{where}{name}", name, known))


def _unknown(what: str, where: str, name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {sorted(known)}"
    return f"unknown {what} {where}: {hint}"


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) <= 0:
            raise ConfigError(f"{name} must be positive; got {getattr(settings, name)!r}")
