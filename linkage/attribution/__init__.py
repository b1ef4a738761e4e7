"""Attribution: which cluster an account belongs to, how surely, and by which identifiers.

A cluster's profile says, of each identifier that its members use, how much more often they use it
than everybody does. Every account, clustered or not, is scored against every profile that it
touches, as if it were not a member itself; the best cluster takes it if the score outweighs the
cluster's rarity. Repeated until nothing moves, this is expectation maximisation.
"""

from linkage.attribution.attribute import Attribution, attribute_accounts
from linkage.attribution.crowds import find_crowds
from linkage.attribution.merging import merge_clusters
from linkage.attribution.scores import Scores
from linkage.attribution.scoring import score_accounts

__all__ = [
    "Attribution",
    "Scores",
    "attribute_accounts",
    "find_crowds",
    "merge_clusters",
    "score_accounts",
]
