"""Data sets that ship with linkage: a made-up world, and a classic of social network analysis.

>>> from linkage import datasets
>>> len(datasets.demo().truth)
3000
"""

from linkage.datasets.davis import SouthernWomen, southern_women
from linkage.datasets.demo_world import DemoWorld, demo

__all__ = ["DemoWorld", "SouthernWomen", "demo", "southern_women"]
