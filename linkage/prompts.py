"""What is said to a run about its prompts: the key, the prompts of known tools, what is kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from linkage.errors import ConfigError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_EXAMPLE_CHARS",
    "MIN_KEY_BYTES",
    "TEMPLATES",
    "PromptHandling",
    "derive_key",
    "label_templates",
    "read_key",
    "read_known_prompts",
    "spell_templates",
]

MIN_KEY_BYTES: Final = 32  # 256 bits, if they are random
KIND: Final = "prompt"  # of the identifiers that templates are
MAX_LABEL_CHARS: Final = 80  # of a skeleton in a label, so that there is room for the id
MAX_EXAMPLE_CHARS: Final = 2_000  # of a prompt that is kept
TEMPLATES: Final = pa.schema(
    [
        ("template_id", pa.string()),
        ("skeleton", pa.string()),
        ("n_accounts", pa.int64()),
        ("n_prompts", pa.int64()),
        ("public", pa.bool_()),
        ("first_seen", pa.timestamp("us", tz="UTC")),
        ("last_seen", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptHandling:
    """How a run treats prompts."""

    key: bytes = field(default=b"", repr=False)  # of prints and template ids; from `derive_key`
    known: Sequence[str] = ()  # prompts of tools that anybody uses
    keep_text: bool = False  # whether one prompt of each readable template is kept as it came

    def __post_init__(self) -> None:
        """Check the types of what a caller gave."""
        if isinstance(self.known, str) or not all(isinstance(text, str) for text in self.known):
            raise ConfigError("known_prompts must be a list of texts, one for each prompt")

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says of it: enough to tell two runs apart, never the key.

        Returns
        -------
        dict
            ``keyed``, ``keep_text``, ``known_prompts`` (``n`` and ``sha256``), and of a key
            ``key_id``, which tells keys apart.
        """
        digest = hashlib.sha256()
        for text in sorted(self.known):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        said: dict[str, Any] = {
            "keyed": bool(self.key),
            "keep_text": self.keep_text,
            "known_prompts": {"n": len(self.known), "sha256": digest.hexdigest()},
        }
        if self.key:
            named = hashlib.blake2b(digest_size=8, key=self.key, person=b"linkage key id")
            said["key_id"] = named.hexdigest()
        return said


def derive_key(secret: bytes) -> bytes:
    """Turn a secret into the key of prints and template ids.

    Parameters
    ----------
    secret : bytes
        At least 32 bytes. Line breaks at its end do not count, so that a key in a file is the same
        as the one that a shell reads from it.

    Returns
    -------
    bytes
        64 bytes.

    Raises
    ------
    ConfigError
        If it is too short to be a secret.

    Examples
    --------
    >>> derive_key(b"k" * 32 + bytes([10])) == derive_key(b"k" * 32)
    True
    """
    if not isinstance(secret, bytes):
        raise ConfigError(f"a key is bytes; got {type(secret).__name__}")
    if len(secret) < MIN_KEY_BYTES:
        raise ConfigError(
            f"a key has at least {MIN_KEY_BYTES} bytes, got {len(secret)}; "
            "make one with: openssl rand -hex 32 > case.key"
        )
    return hashlib.blake2b(secret.rstrip(b"\r\n")).digest()


def read_key(path: str | Path) -> bytes:
    """Return the secret that a file holds, for `derive_key`.

    Raises
    ------
    MissingInputError
        If it cannot be read.
    """
    return _read(path)


def read_known_prompts(path: str | Path) -> list[str]:
    """Return the prompts that a text file holds, with a line of ``---`` between two.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of str

    Raises
    ------
    MissingInputError
        If it cannot be read.
    """
    texts = re.split(r"(?m)^---\s*$", _read(path).decode("utf-8", "replace"))
    return [text for text in texts if text.strip()]


def spell_templates(identifiers: pd.DataFrame, templates: pd.DataFrame) -> pd.Series[str]:
    """Say in words what identifiers of prompts stand for.

    Parameters
    ----------
    identifiers : pandas.DataFrame
        ``kind``, ``value``.
    templates : pandas.DataFrame
        With the columns of `TEMPLATES`.

    Returns
    -------
    pandas.Series of str
        The skeleton, with ``public: `` before that of a public template; empty for what is no
        template or has no skeleton.

    Examples
    --------
    >>> import pandas as pd
    >>> said = {"template_id": ["t1"], "skeleton": ["list every defect"], "public": [True]}
    >>> held = pd.DataFrame({"kind": ["prompt", "ip"], "value": ["t1", "t1"]})
    >>> spell_templates(held, pd.DataFrame(said)).tolist()
    ['public: list every defect', '']
    """
    readable = templates.dropna(subset="skeleton")
    is_public = readable["public"].astype(bool)
    words = is_public.map({True: "public: ", False: ""}) + readable["skeleton"]
    known = dict(zip(readable["template_id"], words, strict=True))
    said = [
        known.get(value, "") if kind == KIND else ""
        for kind, value in zip(identifiers["kind"], identifiers["value"], strict=True)
    ]
    return pd.Series(said, index=identifiers.index, dtype=object)


def label_templates(nodes: pd.DataFrame, templates: pd.DataFrame) -> pd.Series[str]:
    """Label the nodes of a graph: templates by what they say, the others as they are.

    Parameters
    ----------
    nodes : pandas.DataFrame
        ``kind``, ``label`` (an identifier's value).
    templates : pandas.DataFrame
        With the columns of `TEMPLATES`.

    Returns
    -------
    pandas.Series of str
    """
    said = spell_templates(nodes.rename(columns={"label": "value"}), templates)
    short = said.where(said.str.len() <= MAX_LABEL_CHARS, said.str[: MAX_LABEL_CHARS - 1] + "…")
    return nodes["label"].where(said == "", short + " (" + nodes["label"] + ")")


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingInputError(f"cannot read {path}: {error.strerror}") from error
