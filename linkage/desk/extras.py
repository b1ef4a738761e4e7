"""Packages that only some outputs need: imported where they are used, named where they lack."""

from importlib import import_module
from types import ModuleType

from linkage.errors import InputError

__all__ = ["import_extra"]


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a package of one of linkage's extras.

    Parameters
    ----------
    module : str
        Such as ``"jinja2"``.
    extra : str
        The extra that brings it.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> import_extra("json", "report").__name__
    'json'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.split(".", maxsplit=1)[0]
        raise InputError(
            f"this needs the package {name}: pip install 'linkage[{extra}]'"
        ) from error
