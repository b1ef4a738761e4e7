"""The tables of the contract: their columns, their types, and which columns are identifiers.

Every stage reads and writes tables in these shapes; nothing else in the package names a column
that crosses a stage's boundary.
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "CASE_TABLES",
    "INPUTS",
    "TRUTH_COLUMNS",
    "Column",
    "ColumnType",
    "InputTable",
]

ColumnType = Literal["text", "timestamp", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an input table."""

    name: str
    type: ColumnType = "text"
    required: bool = False
    kind: str | None = None  # the kind of identifier that its values are; None for an attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTable:
    """One input table: what it is for and which columns it may have."""

    name: str
    summary: str
    columns: tuple[Column, ...]

    def get(self, name: str) -> Column | None:
        """Return the column of this name, or None where the contract has none."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns without which the table cannot be used."""
        return tuple(column.name for column in self.columns if column.required)


_ACCOUNT: Final = Column(name="account_id", required=True)

INPUTS: Final[dict[str, InputTable]] = {
    table.name: table
    for table in (
        InputTable(
            name="events",
            summary="one row a request",
            columns=(
                _ACCOUNT,
                Column(name="ts", type="timestamp", required=True),
                Column(name="ip", kind="ip"),
                Column(name="device_id", kind="device"),
                Column(name="user_agent", kind="user_agent"),
                Column(name="tls_fingerprint", kind="tls_fingerprint"),
                Column(name="prompt"),
                Column(name="prompt_fingerprint", kind="prompt"),
            ),
        ),
        InputTable(
            name="payments",
            summary="one row a payment",
            columns=(
                _ACCOUNT,
                Column(name="ts", type="timestamp", required=True),
                Column(name="payment_method", kind="payment"),
                Column(name="bin", kind="bin"),
            ),
        ),
        InputTable(
            name="accounts",
            summary="one row an account",
            columns=(
                _ACCOUNT,
                Column(name="created_at", type="timestamp"),
                Column(name="email", kind="email"),
                Column(name="phone", kind="phone"),
                Column(name="country"),
                Column(name="status"),
                Column(name="banned_at", type="timestamp"),
            ),
        ),
        InputTable(
            name="observations",
            summary="one row a signal of any kind: this account was seen with this value",
            columns=(
                _ACCOUNT,
                Column(name="kind", required=True),
                Column(name="value", required=True),
                Column(name="ts", type="timestamp"),
                Column(name="first_seen", type="timestamp"),
                Column(name="last_seen", type="timestamp"),
                Column(name="count", type="count"),
            ),
        ),
    )
}

# Columns that the case folder's tables have at least, in the order in which they are written.
CASE_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "clusters": (
        "cluster_id",
        "tier",
        "n_accounts",
        "confidence",
        "q_value",
        "risk",
        "families",
        "first_seen",
        "last_seen",
    ),
    "members": ("account_id", "cluster_id", "probability"),
    "evidence": ("cluster_id", "account_id", "kind", "value", "bits", "family"),
    "rejected": ("source", "row", "column", "reason"),
}

TRUTH_COLUMNS: Final = ("account_id", "operator_id", "role", "group_id")
