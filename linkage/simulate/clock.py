"""When people and machines are awake: rhythms of the day and of the week, by country."""

from typing import Final

import numpy as np

from linkage.simulate.draws import Floats, Ints

__all__ = ["COUNTRIES", "DAY_S", "HOUR_S", "SCHEDULES", "sample_second_of_day", "weekday_weight"]

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0

# Country code: (offset from UTC in hours, share of customers).
COUNTRIES: Final[dict[str, tuple[float, float]]] = {
    "US": (-6.0, 0.27),
    "IN": (5.5, 0.16),
    "BR": (-3.0, 0.08),
    "GB": (0.0, 0.07),
    "DE": (1.0, 0.07),
    "JP": (9.0, 0.06),
    "FR": (1.0, 0.05),
    "CA": (-5.0, 0.05),
    "ID": (7.0, 0.04),
    "KR": (9.0, 0.04),
    "AU": (10.0, 0.03),
    "MX": (-6.0, 0.03),
    "NG": (1.0, 0.02),
    "PL": (1.0, 0.02),
    "SG": (8.0, 0.006),
    "EE": (2.0, 0.002),
    "UY": (-3.0, 0.002),
}

# Activity by local hour (0 to 23), then by weekday (Monday to Sunday).
_HOURS: Final[dict[str, str]] = {
    "leisure": "2 1 1 0 0 1 2 4 5 5 5 5 6 6 5 5 6 7 8 10 11 11 8 5",
    "office": "0 0 0 0 0 0 1 3 8 12 13 12 8 10 12 12 11 8 4 2 1 1 1 0",
    "student": "6 4 2 1 1 0 0 1 3 6 7 7 6 7 8 8 7 6 6 8 10 11 11 9",
    "machine": "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "shift": "1 0 0 0 0 0 0 1 4 10 11 11 8 9 11 11 11 11 9 7 7 6 5 3",
}
_WEEKDAYS: Final[dict[str, str]] = {
    "leisure": "10 10 10 10 9 9 10",
    "office": "11 12 12 11 9 2 2",
    "student": "11 11 11 10 7 6 11",
    "machine": "10 10 10 10 10 10 10",
    "shift": "11 11 11 11 11 7 5",
}

SCHEDULES: Final = tuple(_HOURS)


def _normalise(text: str) -> Floats:
    weights = np.array([float(word) for word in text.split()])
    shares: Floats = weights / weights.sum()
    return shares


# Cumulative shares of all schedules in one rising row, schedule k within [k, k + 1].
_BOUNDS: Final = np.concatenate(
    [k + np.cumsum(_normalise(_HOURS[name])) for k, name in enumerate(SCHEDULES)]
)
_WEEKDAY: Final = np.stack([7.0 * _normalise(_WEEKDAYS[name]) for name in SCHEDULES])


def sample_second_of_day(quantile: Floats, schedule: Ints, utc_offset_h: Floats) -> Floats:
    """Place moments in the day by a schedule's rhythm.

    Parameters
    ----------
    quantile : ndarray of float64, shape (n,)
        In [0, 1): 0 is the schedule's local midnight, 1 the next one.
    schedule : ndarray of int64, shape (n,)
        Positions in `SCHEDULES`.
    utc_offset_h : ndarray of float64, shape (n,)
        Local time minus UTC, in hours.

    Returns
    -------
    ndarray of float64, shape (n,)
        Seconds since UTC midnight, in [0, 86400).

    Notes
    -----
    Inverse of the piecewise linear distribution function of the local hour.
    """
    place = np.minimum(schedule + quantile, schedule + 1 - 1e-12)
    hour = np.searchsorted(_BOUNDS, place, side="right")
    hour = np.minimum(hour, 24 * schedule + 23)
    upper = _BOUNDS[hour]
    lower = np.where(hour % 24 == 0, schedule.astype(np.float64), _BOUNDS[hour - 1])
    inside = (place - lower) / np.maximum(upper - lower, 1e-12)
    local_s = (hour % 24 + np.clip(inside, 0.0, 1.0)) * HOUR_S
    second: Floats = (local_s - utc_offset_h * HOUR_S) % DAY_S
    return second


def weekday_weight(schedule: Ints, weekday: int) -> Floats:
    """Return how busy a weekday is.

    Parameters
    ----------
    schedule : ndarray of int64, shape (n,)
        Positions in `SCHEDULES`.
    weekday : int
        0 is Monday, 6 is Sunday.

    Returns
    -------
    ndarray of float64, shape (n,)
        Mean 1 over a week.
    """
    weight: Floats = _WEEKDAY[schedule, weekday]
    return weight
