"""Pack circles closely without overlap."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack_circles"]

_MAX_PACKED: Final = 600  # circles that are packed tightly; smaller ones follow on a spiral
_GOLDEN_ANGLE: Final = np.pi * (3.0 - np.sqrt(5.0))
_SPIRAL_AREA: Final = 2.0  # of a circle on the spiral, in squares of its diameter over pi
_SLACK: Final = 1e-7

Circle = tuple[float, float, float]  # x, y, radius


@dataclass(slots=True)
class _Front:
    """The ring of outermost circles, as a doubly linked list over the circles placed so far."""

    circles: list[Circle]
    following: dict[int, int] = field(default_factory=dict)
    preceding: dict[int, int] = field(default_factory=dict)

    def join(self, left: int, right: int) -> None:
        self.following[left] = right
        self.preceding[right] = left

    def overlaps(self, index: int, circle: Circle) -> bool:
        x, y, radius = self.circles[index]
        reach = radius + circle[2]
        return (x - circle[0]) ** 2 + (y - circle[1]) ** 2 < (reach * (1.0 - _SLACK)) ** 2

    def find_overlap(self, left: int, right: int, circle: Circle) -> tuple[int, bool] | None:
        """Walk away from the gap on both sides; return an overlap and whether it comes after."""
        after, before = self.following[right], self.preceding[left]
        span_after, span_before = self.circles[right][2], self.circles[left][2]
        while True:
            if span_after <= span_before:
                if self.overlaps(after, circle):
                    return after, True
                span_after += self.circles[after][2]
                done = after == before
                after = self.following[after]
            else:
                if self.overlaps(before, circle):
                    return before, False
                span_before += self.circles[before][2]
                done = after == before
                before = self.preceding[before]
            if done:
                return None

    def find_gap(self, start: int) -> int:
        """Return the circle whose gap to the next one lies nearest to the origin."""
        best, best_score = start, self._score(start)
        index = self.following[start]
        while index != start:
            score = self._score(index)
            if score < best_score:
                best, best_score = index, score
            index = self.following[index]
        return best

    def _score(self, index: int) -> float:
        ax, ay, ar = self.circles[index]
        bx, by, br = self.circles[self.following[index]]
        x, y = (ax * br + bx * ar) / (ar + br), (ay * br + by * ar) / (ar + br)
        return x * x + y * y


def _touch(a: Circle, b: Circle, radius: float) -> Circle:
    """Place a circle so that it touches `a` and `b`, on the right of the way from a to b."""
    ax, ay, ar = a
    bx, by, br = b
    dx, dy = bx - ax, by - ay
    between = float(np.hypot(dx, dy))
    to_a, to_b = ar + radius, br + radius
    along = (between**2 + to_a**2 - to_b**2) / (2.0 * between)
    aside = max(to_a**2 - along**2, 0.0) ** 0.5
    ux, uy = dx / between, dy / between
    return ax + along * ux + aside * uy, ay + along * uy - aside * ux, radius


def _place(front: _Front, left: int, radius: float) -> int:
    """Place one circle in the gap after `left`, closing the front where it would overlap."""
    right = front.following[left]
    while True:
        circle = _touch(front.circles[left], front.circles[right], radius)
        overlap = front.find_overlap(left, right, circle)
        if overlap is None:
            break
        left, right = (left, overlap[0]) if overlap[1] else (overlap[0], right)
        front.join(left, right)
    index = len(front.circles)
    front.circles.append(circle)
    front.join(left, index)
    front.join(index, right)
    return index


def _pack_front(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pack circles, largest first, each into the gap of the front that is nearest to the middle."""
    sizes = [float(value) for value in radius]
    circles = [(-sizes[0], 0.0, sizes[0])] if len(sizes) > 1 else [(0.0, 0.0, sizes[0])]
    if len(sizes) > 1:
        circles.append((sizes[1], 0.0, sizes[1]))
    if len(sizes) > 2:
        circles.append(_touch(circles[1], circles[0], sizes[2]))
        front = _Front(circles)
        for left, right in ((0, 1), (1, 2), (2, 0)):
            front.join(left, right)
        last = 2
        for size in sizes[3:]:
            last = _place(front, front.find_gap(last), size)
    return np.array([(x, y) for x, y, _ in circles])


def _pack_spiral(radius: NDArray[np.float64], inner: float) -> NDArray[np.float64]:
    """Lay circles on a sunflower spiral outside of `inner`."""
    area = np.cumsum(_SPIRAL_AREA * (2.0 * radius) ** 2 / np.pi)
    distance = np.sqrt((inner + radius) ** 2 + area)
    angle = _GOLDEN_ANGLE * np.arange(len(radius))
    return np.column_stack((distance * np.cos(angle), distance * np.sin(angle)))


def pack_circles(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pack circles around the origin, the largest first.

    Parameters
    ----------
    radius : array of float, shape (n,)
        Above 0.

    Returns
    -------
    array of float, shape (n, 2)
        Their centres, such that no two circles overlap.

    Notes
    -----
    The largest 600 are packed on an advancing front (Wang, Wang, Dai, Wang 2006, "Visualization of
    large hierarchical data by circle packing"), O(k ** 1.5); the rest, which are small and alike,
    follow on a sunflower spiral, O(n).

    Examples
    --------
    >>> import numpy as np
    >>> pack_circles(np.array([1.0, 1.0])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    centre = np.zeros((len(radius), 2))
    if not len(radius):
        return centre
    order = np.argsort(-radius, kind="stable")
    tight, loose = order[:_MAX_PACKED], order[_MAX_PACKED:]
    centre[tight] = _pack_front(radius[tight])
    weight = radius[tight] ** 2
    if len(tight) > 2:
        centre[tight] -= np.average(centre[tight], axis=0, weights=weight)
    inner = float((np.hypot(*centre[tight].T) + radius[tight]).max())
    centre[loose] = _pack_spiral(radius[loose], inner)
    return centre
