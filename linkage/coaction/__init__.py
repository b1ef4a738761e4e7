"""Co-action: accounts that do the same thing within seconds of each other.

``find_coaction`` lists who acted on the same object within a time window, and the network of
accounts that did so again and again, by the definitions of CooRTweet. ``weigh_coaction`` says how
surprising the timing of two accounts is.
"""

from linkage.coaction.acts import Acts, read_acts
from linkage.coaction.network import Coaction, find_coaction
from linkage.coaction.timing import (
    CoactionWeights,
    TimingConfig,
    find_timing,
    weigh_coaction,
)
from linkage.coaction.write import write_coaction

__all__ = [
    "Acts",
    "Coaction",
    "CoactionWeights",
    "TimingConfig",
    "find_coaction",
    "find_timing",
    "read_acts",
    "weigh_coaction",
    "write_coaction",
]
