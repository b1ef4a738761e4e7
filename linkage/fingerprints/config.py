"""Settings of prompt fingerprints."""

from dataclasses import dataclass, fields

from linkage.errors import ConfigError

__all__ = ["FingerprintConfig"]

# setting: lowest and highest value
_RANGES: dict[str, tuple[float, float]] = {
    "shingle_words": (2, 12),
    "window": (1, 64),
    "max_characters": (100, 100_000_000),
    "min_accounts": (2, 1_000_000),
    "min_together": (0.0, 1.0),
    "min_same_holders": (0.0, 1.0),
    "max_prompts_an_account": (1, 1_000_000),
    "public_accounts": (2, 1_000_000_000),
    "max_skeletons": (0, 1_000_000),
    "memory_mb": (64, 10_000_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintConfig:
    """How prompts become prints and prints become templates.

    Raises
    ------
    ConfigError
        If a setting is out of range.

    Examples
    --------
    >>> FingerprintConfig().guaranteed_words
    16
    """

    shingle_words: int = 5  # words a shingle; 1.6 ideographs or 3 letters of Thai count as a word
    window: int = 12  # shingles in a row of which at least one is kept
    max_characters: int = 100_000  # read of each prompt; the rest is ignored and counted
    min_accounts: int = 2  # accounts that hold a print, below which it is dropped
    min_together: float = 0.05  # share of the prompts with one print that show the other, to join
    # Share of the holders of one that hold the other, to join. A sentence that two templates share
    # has at most half of its holders in one of them: more than half keeps them apart.
    min_same_holders: float = 0.6
    # Different prompts of an account by which prints are known to be shared, and may join.
    max_prompts_an_account: int = 256
    public_accounts: int = 50  # holders, below which a template is never called public
    max_skeletons: int = 1_000  # templates (the most widely held) that get a readable skeleton
    memory_mb: int = 1_024  # prints kept in memory; beyond it they lie in a temporary file

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _RANGES[field.name]
            if not low <= value <= high:
                raise ConfigError(
                    f"fingerprints.{field.name} must lie between {low} and {high}, got {value!r}"
                )

    @property
    def guaranteed_words(self) -> int:
        """Length of a shared run of words that is always found (winnowing's t = w + k - 1)."""
        return self.window + self.shingle_words - 1
