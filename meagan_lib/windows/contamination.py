"""What isolation costs and buys: how many peaks become windows, and how many windows hold a second spike."""

from dataclasses import replace

import numpy as np
import spikeinterface.core as sc
from scipy.stats import binomtest

from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows import filtering
from meagan_lib.windows.cutting import Isolation, WindowConfig, stretches
from meagan_lib.windows.detection import DetectionConfig, KnownPeaks, true_peaks
from meagan_lib.windows.spike_windows import OF_FOOTPRINTS, Ledger, Reason, SpikeWindows

GUARDS_MS = (0.5, 1.0, 2.0, 4.0, 8.0)
DEEP_MAD = 3.0
"""Depth in noise levels from which a second spike contaminates a window."""


def isolated(ledger: Ledger) -> dict[str, np.ndarray]:
    """Find the peaks bool (peaks,) that stand alone by the rule as the thesis words it, and by the rule of the run.

    That the next peak is near comes first among the rules of isolation, so a peak that another of them
    dropped passes the rule as worded, with the same guard. Peaks between two splits count with the others.
    """
    run = [Reason.KEPT, Reason.EDGE_OF_SPLIT]
    worded = [*run, Reason.PREVIOUS_TOO_CLOSE, Reason.GUARD_PEAK_IN_WINDOW, Reason.NEIGHBOUR_ACTIVE, *OF_FOOTPRINTS]
    return {"as the thesis words it": np.isin(ledger.reason, worded), "as in this run": np.isin(ledger.reason, run)}


def contaminated(
    windows: SpikeWindows,
    truth: GroundTruth,
    detection: DetectionConfig,
    peaks: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Find the windows bool (n,) of a simulation with a second true spike deeper than ``DEEP_MAD`` noise levels.

    Among the ``windows``, or among such windows around other ``peaks``: frames and channels, each int (n,).
    """
    rate = windows.sampling_rate_hz
    spikes = true_peaks(truth, detection, rate, windows.noise_mad, DEEP_MAD)[:2]
    peaks = (windows.frame, windows.channel) if peaks is None else peaks
    return _second_spikes(*peaks, windows.pre_samples, detection.dead(rate), *spikes)


def _second_spikes(
    peaks: np.ndarray, channels: np.ndarray, half: int, dead: int, true_frame: np.ndarray, true_channel: np.ndarray
) -> np.ndarray:
    """Find the peaks bool (n,) with a true spike beside their own within ``half`` frames on either side."""
    second = np.zeros(len(peaks), bool)
    for c in np.unique(channels):
        mine, theirs = channels == c, true_frame[true_channel == c]
        peak = peaks[mine]
        inside = np.searchsorted(theirs, peak + half) - np.searchsorted(theirs, peak - half)
        own = np.searchsorted(theirs, peak + dead, "right") - np.searchsorted(theirs, peak - dead)
        second[mine] = inside > np.minimum(own, 1)
    return second


def contamination_curves(
    recording: sc.BaseRecording,
    detection: DetectionConfig,
    config: WindowConfig,
    truth: GroundTruth,
    seed: int,
    known: KnownPeaks | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Measure what isolation costs and buys, where the truth is known: rule → columns (guards,).

    ``guard_ms``; ``kept``: fraction of the peaks that become windows; ``contaminated``: fraction of the windows that
    hold a second spike, with its 95 % interval (Wilson) ``low`` … ``high``. Without ``guard_mad`` the third rule is
    left out: it is the second. Peaks that are ``known`` are taken in place of those of the threshold.
    """
    mine = config.isolation
    rules = {
        "next peak far (thesis)": Isolation.thesis(),
        "next and previous far": replace(mine, sides="both", guard_mad=0.0),
    }
    if mine.guard_mad:
        rules[f"and no trough over {mine.guard_mad:g} σ"] = replace(mine, sides="both")
    rate = recording.get_sampling_frequency()
    noise = filtering.noise_levels(recording, detection.filter(rate), seed)
    half, dead = config.half_window(rate), detection.dead(rate)
    gain = filtering.signs_and_gains(recording)[1]
    spikes = true_peaks(truth, detection, rate, noise * gain, DEEP_MAD)[:2]
    curves = {}
    for name, rule in rules.items():
        rows = []
        for guard_ms in GUARDS_MS:
            at_guard = replace(config, isolation=replace(rule, guard_ms=guard_ms))
            passed = stretches(recording, detection, at_guard, noise, np.zeros(len(noise), bool), known)
            ledger = Ledger.join([part.peaks for part in passed])
            kept = ledger.reason == Reason.KEPT
            second = _second_spikes(ledger.frame[kept], ledger.channel[kept], half, dead, *spikes).sum()
            n = max(int(kept.sum()), 1)
            interval = binomtest(int(second), n).proportion_ci(method="wilson")
            rows.append((guard_ms, kept.sum() / max(len(kept), 1), second / n, interval.low, interval.high))
        curves[name] = dict(zip(("guard_ms", "kept", "contaminated", "low", "high"), np.array(rows).T))
    return curves
