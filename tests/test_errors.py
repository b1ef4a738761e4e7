"""The tree of errors."""

import inspect

import pytest

from linkage import errors
from linkage.errors import LinkageError, UnknownIdError


def find_classes():
    return [item for _, item in inspect.getmembers(errors, inspect.isclass)]


def test_every_error_is_public_and_has_one_root():
    classes = find_classes()
    assert sorted(item.__name__ for item in classes) == errors.__all__
    assert all(issubclass(item, LinkageError) for item in classes)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InputError", ValueError),
        ("SchemaError", ValueError),
        ("MissingInputError", FileNotFoundError),
        ("ConfigError", ValueError),
        ("CaseError", ValueError),
        ("UnknownIdError", KeyError),
    ],
)
def test_an_error_is_caught_as_the_builtin_that_it_resembles(name, builtin):
    with pytest.raises(builtin, match="what came"):
        raise getattr(errors, name)("what came")


@pytest.mark.parametrize("item", find_classes(), ids=lambda item: item.__name__)
def test_an_error_prints_its_message_and_nothing_else(item):
    assert str(item("no account 'a'")) == "no account 'a'"


def test_an_unknown_id_without_a_message_prints_nothing():
    assert str(UnknownIdError()) == ""
