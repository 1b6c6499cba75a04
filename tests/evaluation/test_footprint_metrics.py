"""Footprints are judged as windows are, and by what only they have."""

import numpy as np
import pytest

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import ALL, METRICS, OF_FOOTPRINTS, applicable, values
from meagan_lib.evaluation.planted_failures import CONTROL, planted_failures

ELECTRODES, SAMPLES, RATE_HZ = 3, 40, 20_000.0
DECAY = np.array([1.0, 0.5, 0.3])


def footprints(n: int, seed: int) -> np.ndarray:
    """Draw spikes (n, electrodes · samples) that fade from electrode to electrode, in noise that these share."""
    rng, t = np.random.default_rng(seed), np.arange(SAMPLES) - SAMPLES // 2
    shape = -np.exp(-((t / 3) ** 2))
    gain = rng.uniform(6, 12, (n, 1)) * DECAY * rng.lognormal(0, 0.05, (n, ELECTRODES))
    noise = 0.6 * rng.standard_normal((n, 1, SAMPLES)) + 0.5 * rng.standard_normal((n, ELECTRODES, SAMPLES))
    return (gain[:, :, None] * shape + noise).reshape(n, -1).astype(np.float32)


CONTEXT = Context.fit(footprints(600, 0), RATE_HZ, electrodes=ELECTRODES)


@pytest.fixture(scope="module")
def planted():
    return planted_failures(footprints(900, 1), CONTEXT, 300, 20, list(OF_FOOTPRINTS))


@pytest.mark.parametrize(
    ("failure", "metric"),
    [
        ("neighbours × 0.8", "decay_ks"),
        ("neighbours a sample late", "delay_difference"),
        ("neighbours of other spikes", "noise_correlation"),
    ],
)
def test_what_is_wrong_between_electrodes_is_flagged_by_the_score_that_is_made_for_it(planted, failure, metric):
    assert planted[failure][metric]["flagged"] and not planted[CONTROL][metric]["flagged"]


def test_a_delay_has_its_size_in_ms(planted):
    assert planted["neighbours a sample late"]["delay_difference"]["value"] == pytest.approx(0.05, abs=0.02)


def test_metrics_of_one_trace_read_the_own_electrode_and_the_others_all():
    real, fake, rng = footprints(150, 2), footprints(150, 3), np.random.default_rng(0)
    spoilt = fake.copy()
    spoilt[:, SAMPLES:] += 3 * rng.standard_normal(spoilt[:, SAMPLES:].shape)
    cheap = [name for name in ALL if not name.startswith("c2st") and ALL[name].family != "memorisation"]
    before, after = (values(real, windows, CONTEXT, cheap) for windows in (fake, spoilt))
    same = {name for name in cheap if before[name] == after[name]}
    assert same == {name for name in cheap if ALL[name].view == "own"} | {"passes"}


def test_windows_of_one_electrode_have_no_score_of_footprints():
    assert applicable(1) == METRICS and set(applicable(5)) - set(METRICS) == set(OF_FOOTPRINTS)
