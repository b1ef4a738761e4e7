"""Finds the one operator behind thousands of accounts, and shows the evidence for every link.

>>> import linkage
>>> demo = linkage.datasets.demo()
>>> len(demo.accounts) > 1000
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from linkage._version import __version__

if TYPE_CHECKING:
    from linkage import coaction, datasets, evaluate, fingerprints, simulate
    from linkage.case import read_case, write_case
    from linkage.config import Config, KindConfig, load_config
    from linkage.fingerprints import templates
    from linkage.pipeline import link
    from linkage.result import Result

__all__ = [
    "Config",
    "KindConfig",
    "Result",
    "__version__",
    "coaction",
    "datasets",
    "evaluate",
    "fingerprints",
    "link",
    "load_config",
    "read_case",
    "simulate",
    "templates",
    "write_case",
]

# Where a public name lives; it is imported when it is first used, so that `import linkage` is fast.
_HOMES = {
    "Config": "linkage.config",
    "KindConfig": "linkage.config",
    "Result": "linkage.result",
    "link": "linkage.pipeline",
    "load_config": "linkage.config",
    "read_case": "linkage.case",
    "templates": "linkage.fingerprints",
    "write_case": "linkage.case",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in {"coaction", "datasets", "evaluate", "fingerprints", "simulate"}:
        return import_module(f"linkage.{name}")
    raise AttributeError(f"module 'linkage' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
