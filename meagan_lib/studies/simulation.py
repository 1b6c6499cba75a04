"""Studies whose effects are known: simulated spike trains, and tables drawn from the mixed model itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.network.treatment import simulated_trains
from meagan_lib.recordings.simulation import SimulationConfig

OF_CULTURE, OF_DAY = 0.15, 0.05
"""Standard deviations of the logarithm of what differs from culture to culture, and of one culture from day to day."""


def simulated_study(
    conditions: Mapping[str, SimulationConfig],
    cultures: int,
    days: Sequence[float],
    growth: Mapping[str, float] | float = 0.0,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[SpikeTrains]]:
    """Simulate a study: ``cultures`` of each condition, each recorded on all ``days``, one cell an electrode.

    The factors, a row for each recording, and the spike trains. Cultures differ in how often the network bursts, in the
    fraction of cells that take part and in their rates, and keep that over the days, on each of which they differ a
    little again. ``growth``: by which fraction cells fire more with each week, of all conditions or of each.
    """
    rows, trains = [], []
    for c, (condition, config) in enumerate(conditions.items()):
        weekly = growth.get(condition, 0.0) if isinstance(growth, Mapping) else growth
        for k in range(cultures):
            own = np.random.default_rng([seed, c, k])
            of_culture, cells = OF_CULTURE * own.standard_normal(3), int(own.integers(2**31))
            for day in days:
                draw = np.random.default_rng([seed, c, k, round(10 * day)])
                every, share, rate = np.exp(of_culture + OF_DAY * draw.standard_normal(3))
                rate *= (1 + weekly) ** ((day - days[0]) / 7)
                its = replace(
                    config,
                    seed=(cells + round(10 * day)) % 2**31,
                    burst_every_s=float(config.burst_every_s * every),
                    participation=float(min(config.participation * share, 1.0)),
                    burst_rate_hz=tuple(float(r * rate) for r in config.burst_rate_hz),
                )
                trains.append(simulated_trains(its))
                culture = f"{condition} {k + 1}"
                rows.append((f"{culture}, day {day:g}", "simulated", culture, float(day), condition, 1))
    return pd.DataFrame(rows, columns=["label", "recording", "culture", "day", "condition", "replicate"]), trains


def drawn_table(
    rng: np.random.Generator,
    conditions: int = 3,
    cultures: int = 4,
    days: Sequence[float] = (14, 21, 28),
    of_culture: float = 1.0,
    of_slope: float = 0.0,
    effect: float = 0.0,
) -> pd.DataFrame:
    """Draw a table with one measure, ``y``, in which recordings of a culture differ by a standard deviation of 1.

    ``of_culture``: standard deviation between cultures; ``of_slope``: of their slopes over all days; ``effect``: by how
    much the second condition is higher than the others.
    """
    middle, span = np.mean(days), max(np.ptp(days), 1e-12)
    rows = []
    for c in range(conditions):
        for k in range(cultures):
            level, slope = of_culture * rng.standard_normal() + effect * (c == 1), of_slope * rng.standard_normal()
            for day in days:
                y = level + slope * (day - middle) / span + rng.standard_normal()
                rows.append((f"{c}-{k}", f"condition {c}", float(day), y))
    return pd.DataFrame(rows, columns=["culture", "condition", "day", "y"])
