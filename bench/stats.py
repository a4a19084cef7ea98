"""stats: what repeated measurements say, and how sure that is. Pure.

Pairs are run A B B A A B B A …: whatever drifts (temperature, caches, a neighbour's load) hits both
sides alike. What is compared is the ratio B/A of two neighbours, never two averages."""

import math
import statistics

# Two-sided 95 % points of Student's t, by degrees of freedom (1 to 30; beyond, the normal's).
STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
           2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
           2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
NORMAL = 1.960
MEDIAN_MIN = 6  # fewer values bound no median to 95 %


def order(pairs):
    """Which side runs when: A B B A …; `pairs` of each."""
    return "".join("AB" if index % 2 == 0 else "BA" for index in range(pairs))


def median_interval(values):
    """(median, low, high): the interval has the true median with at least 95 %, whatever the
    distribution, from order statistics. Too few values: low is 0 and high infinite."""
    ordered, count = sorted(values), len(values)
    median = statistics.median(ordered)
    if count < MEDIAN_MIN:
        return median, 0.0, math.inf
    tail, rank = 0.0, 0  # the most values that may lie outside, each way
    while True:
        tail += math.comb(count, rank) / 2 ** count
        if 2 * tail > 0.05:
            break
        rank += 1
    return median, ordered[rank - 1], ordered[count - rank]


def mean_interval(values):
    """(mean, low, high): Student's t, 95 %."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    degrees = len(values) - 1
    point = STUDENT[degrees - 1] if degrees <= len(STUDENT) else NORMAL
    half = point * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def ratio_interval(a, b):
    """(B/A, low, high) of pairs: the geometric mean, for as few as two of them."""
    logs = [math.log(y / x) for x, y in zip(a, b)]
    return tuple(math.exp(v) if v < 700 else math.inf for v in mean_interval(logs))


def verdict(low, high, at_least=None, at_most=None):
    """What an interval says about a bound: 'reached', 'MISSED', or 'not decided'."""
    if at_most is not None:
        return "reached" if high <= at_most else "MISSED" if low > at_most else "not decided"
    return "reached" if low >= at_least else "MISSED" if high < at_least else "not decided"
