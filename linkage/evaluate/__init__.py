"""Clusters against the truth: how good they are, for whom they are wrong, and how sure that is.

``evaluate`` compares predicted clusters with known operators. Each figure that it returns names the
accounts over which it was taken and carries a bootstrap interval; ``docs/evaluation.md`` gives the
formulas and their sources.
"""

from linkage.evaluate.calibration import Calibration, ReliabilityBin, measure_calibration
from linkage.evaluate.evaluation import evaluate
from linkage.evaluate.measures import Counts, Discovery, Score
from linkage.evaluate.ranking import average_precision
from linkage.evaluate.result import Evaluation
from linkage.evaluate.truth import read_truth

__all__ = [
    "Calibration",
    "Counts",
    "Discovery",
    "Evaluation",
    "ReliabilityBin",
    "Score",
    "average_precision",
    "evaluate",
    "measure_calibration",
    "read_truth",
]
