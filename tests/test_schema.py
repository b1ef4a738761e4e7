"""The tables of the contract."""

from dataclasses import FrozenInstanceError

import pytest

from linkage.config import KINDS
from linkage.schema import CASE_TABLES, INPUTS, TRUTH_COLUMNS


@pytest.mark.parametrize("table", INPUTS.values(), ids=lambda table: table.name)
def test_a_table_names_each_column_once_and_needs_an_account(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert "account_id" in table.required
    assert set(table.required) <= set(names)


def test_required_columns_are_those_of_the_contract():
    assert {name: table.required for name, table in INPUTS.items()} == {
        "events": ("account_id", "ts"),
        "payments": ("account_id", "ts"),
        "accounts": ("account_id",),
        "observations": ("account_id", "kind", "value"),
    }


def test_every_kind_that_a_column_holds_has_a_family():
    kinds = {column.kind for table in INPUTS.values() for column in table.columns} - {None}
    assert kinds <= set(KINDS)
    assert all(KINDS[kind].family for kind in kinds)


def test_a_column_is_got_by_its_name_or_not_at_all():
    assert INPUTS["payments"].get("payment_method").kind == "payment"
    assert INPUTS["payments"].get("ip") is None


def test_the_contract_cannot_be_changed():
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        INPUTS["events"].name = "other"


def test_case_tables_name_each_column_once():
    for columns in [*CASE_TABLES.values(), TRUTH_COLUMNS]:
        assert len(set(columns)) == len(columns)
    assert set(CASE_TABLES) == {"clusters", "members", "evidence", "rejected"}
