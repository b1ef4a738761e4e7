"""Everything that linkage raises on purpose.

::

    LinkageError
    ├── InputError (ValueError)      an input cannot be used
    │   ├── MissingInputError (FileNotFoundError)
    │   └── SchemaError              a table lacks a column, or a column has a wrong type
    ├── ConfigError (ValueError)     a setting is unknown or out of range
    ├── CaseError (ValueError)       a case folder is missing, damaged or in the way
    └── UnknownIdError (KeyError)    a cluster, an account or an identifier that is not in the case

A message says what was expected, what came, and what to do next.
"""

__all__ = [
    "CaseError",
    "ConfigError",
    "InputError",
    "LinkageError",
    "MissingInputError",
    "SchemaError",
    "UnknownIdError",
]


class LinkageError(Exception):
    """Root of the errors that linkage raises on purpose."""


class InputError(LinkageError, ValueError):
    """An input cannot be used."""


class MissingInputError(InputError, FileNotFoundError):
    """A path names no file."""


class SchemaError(InputError):
    """A table lacks a column that it needs, or a column has a type that cannot be read."""


class ConfigError(LinkageError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class CaseError(LinkageError, ValueError):
    """A case folder is missing, damaged, or stands where another should be written."""


class UnknownIdError(LinkageError, KeyError):
    """A cluster, account or identifier is not in the case."""

    def __str__(self) -> str:
        """Return the message itself; KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""
