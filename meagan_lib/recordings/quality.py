"""Which channels of a recording can be trusted: a verdict for each, from a seeded sample of its raw traces."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
import scipy.fft
import spikeinterface.core as sc
from numba import njit

from meagan_lib import InputError
from meagan_lib.recordings.events import STORED_NOISE
from meagan_lib.workflow.machine import available_cores

N_BLOCKS, BLOCK_S = 20, 0.2
"""Blocks that are read, 4 s in all, in which a channel that is noisy now and then is noisy at least once; in a block
50 and 60 Hz go a whole number of times: no leakage."""
DEAD_FRACTION = 0.25
"""A channel is dead below this fraction of the chip's median noise. Every live channel has the noise of its amplifier,
which does not depend on the tissue and is more than a quarter of the whole."""
CLIPPED_FRACTION = 0.005
"""A channel is clipped above this fraction of samples at its rails. Noise that is not clipped, if its standard
deviation is at least half a step, has less than 0.3 % of its samples at its own extremes."""
NOISY_Z, LEAST_SPREAD = 5.0, 0.1
"""A channel is noisy when its log noise lies so many robust standard deviations above the chip's median. These are not
taken for less than 0.1, so that on a very even chip (or with few channels) a channel is not noisy for a few per cent
more: a factor of 1.65 is asked for at least."""
MAINS_HZ, MAINS_HARMONICS, MAINS_FLOOR_DB = (50.0, 60.0), 5, -40.0
_ROUNDING = 12**-0.5
_CHANNELS_AT_ONCE = 128


class Verdict(IntEnum):
    """What is wrong with a channel."""

    GOOD = 0
    CONSTANT = 1
    DEAD = 2
    CLIPPED = 3
    NOISY = 4
    MAINS = 5


@dataclass(frozen=True)
class ChannelQuality:
    """What was found of each channel.

    ``verdict`` uint8 (channels,) is a :class:`Verdict`; ``noise`` float32 (channels,) the robust noise level within
    the band, in µV or, where the source has no scale, in its steps; ``clipped_fraction`` float32 (channels,) the
    fraction of samples at the rails; ``mains_db`` float32 (channels,) the power of the mains over all else, −40 dB
    where there is none or where the recording is too short to measure it.
    """

    verdict: np.ndarray
    noise: np.ndarray
    clipped_fraction: np.ndarray
    mains_db: np.ndarray

    @property
    def good(self) -> np.ndarray:
        """Whether each channel is good, bool (channels,)."""
        return self.verdict == Verdict.GOOD

    def counts(self) -> dict[str, int]:
        """Count the channels of each verdict, in words."""
        return {v.name.lower(): int((self.verdict == v).sum()) for v in Verdict}

    def table(self) -> pd.DataFrame:
        """Return a row for each channel that is not good: its index, the verdict in words, and the three measures."""
        columns = {name: getattr(self, name)[~self.good] for name in ("noise", "clipped_fraction", "mains_db")}
        verdict = [Verdict(v).name.lower() for v in self.verdict[~self.good]]
        return pd.DataFrame({"channel": np.flatnonzero(~self.good), "verdict": verdict} | columns)


def channel_quality(
    recording: sc.BaseRecording,
    adc_range: tuple[float, float] | None = None,
    band_hz: tuple[float, float] = (300.0, 6000.0),
    seed: int = 0,
) -> ChannelQuality:
    """Give every channel of an unfiltered recording a verdict, from a few blocks that are drawn with ``seed``.

    Of several verdicts the first is given, for it explains the others:

    - constant: not one sample differs, in at least half of the blocks;
    - dead: noise below ``DEAD_FRACTION`` of the chip's median, or, for integers, below rounding alone;
    - clipped: more than ``CLIPPED_FRACTION`` of the samples, and ten at least, at the rails;
    - mains: 50 or 60 Hz and its harmonics have more power than all else between 40 Hz and the upper edge of the band;
    - noisy: noise far above that of the other channels.

    The noise is measured in ``band_hz``, in which spikes are sought later. ``adc_range`` are the converter's lowest and
    highest code, its rails; by default each channel's own lowest and highest sampled value: a channel that is not
    clipped hardly ever touches them, one that is returns to them all the time. A recording without a sample raises an
    InputError. Of an events-based file the noise is what the file states of it, since samples between its ranges are
    invented; its mains are not known.
    """
    blocks = _blocks(recording, seed)
    rate, n_channels = recording.get_sampling_frequency(), recording.get_num_channels()
    noise, mains_db = np.zeros((2, len(blocks), n_channels), np.float32)
    extremes = np.zeros((len(blocks), 2, n_channels), recording.get_dtype())  # lowest and highest
    at_rails = np.zeros(extremes.shape, np.int64)

    def measure(b: int) -> None:
        segment, start, end = blocks[b]
        traces = recording.get_traces(segment, start, end)  # (frames, channels)
        extremes[b] = traces.min(axis=0), traces.max(axis=0)
        low, high = extremes[b] if adc_range is None else adc_range
        for at, touches in zip(at_rails[b], (lambda x: x <= low, lambda x: x >= high)):
            if touches(extremes[b]).any():  # seldom, and counting takes time
                at[:] = touches(traces).sum(axis=0)
        for first in range(0, n_channels, _CHANNELS_AT_ONCE):
            tile = slice(first, first + _CHANNELS_AT_ONCE)
            noise[b, tile], mains_db[b, tile] = _noise_and_mains(traces[:, tile].T, rate, band_hz)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(measure, range(len(blocks))))
    if adc_range is None:  # only blocks that reach a channel's extremes count; a constant channel has no rails
        lowest, highest = extremes[:, 0].min(axis=0), extremes[:, 1].max(axis=0)
        at_rails *= (extremes == [lowest, highest]) & (lowest < highest)
    touched = at_rails.sum(axis=(0, 1))
    clipped = touched / sum(end - start for _, start, end in blocks)
    constant = extremes[:, 0] == extremes[:, 1]
    noise = steps = np.median(np.where(constant, 0, noise), axis=0)
    mains_db = np.median(np.where(constant, MAINS_FLOOR_DB, mains_db), axis=0)
    if (stated := recording.get_property(STORED_NOISE)) is not None:
        noise = steps = np.asarray(stated, np.float32)
        mains_db = np.full(n_channels, MAINS_FLOOR_DB, np.float32)
    if recording.has_scaleable_traces():
        noise = noise * np.abs(recording.get_channel_gains()).astype(np.float32)

    constant = constant.mean(axis=0) >= 0.5
    dead = np.zeros(n_channels, bool) if recording.get_dtype().kind == "f" else steps < _ROUNDING
    live = ~constant & ~dead & (noise > 0)
    typical = np.median(noise[live]) if live.any() else 0.0
    dead |= noise <= DEAD_FRACTION * typical
    live &= ~dead
    log_noise = np.log(noise[live])
    centre = np.median(log_noise) if live.any() else 0.0
    spread = np.median(np.abs(log_noise - centre)) / 0.6745 if live.any() else 0.0
    noisy = np.zeros(n_channels, bool)
    noisy[live] = log_noise - centre > NOISY_Z * max(spread, LEAST_SPREAD)
    holds = {
        Verdict.CONSTANT: constant,
        Verdict.DEAD: dead,
        Verdict.CLIPPED: (clipped > CLIPPED_FRACTION) & (touched >= 10),
        Verdict.MAINS: mains_db > 0,
        Verdict.NOISY: noisy,
    }
    verdict = np.select([*holds.values()], [*holds], Verdict.GOOD).astype(np.uint8)
    return ChannelQuality(verdict, noise, clipped.astype(np.float32), mains_db)


def _blocks(recording: sc.BaseRecording, seed: int) -> list[tuple[int, int, int]]:
    """Return segment, first frame and end of the blocks that are read; a short segment is one block."""
    size = max(1, round(BLOCK_S * recording.get_sampling_frequency()))
    grid = []
    for segment in range(recording.get_num_segments()):
        n = recording.get_num_samples(segment)
        starts = range(0, n - size + 1, size) if n >= size else [0] * (n > 0)
        grid += [(segment, start, min(start + size, n)) for start in starts]
    if not grid:
        raise InputError("the recording has no samples: is the file complete?")
    chosen = np.random.default_rng(seed).permutation(len(grid))[:N_BLOCKS]
    return [grid[i] for i in np.sort(chosen)]


def _noise_and_mains(traces: np.ndarray, rate: float, band_hz: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Measure noise level within the band and power of the mains in dB, float32 (channels,), of (channels, frames).

    Both from one Fourier transform. The power of a line is what its three bins have beyond their neighbours, two and
    three bins away, so that the slow potentials on which 50 Hz rides are not taken for mains.
    """
    n = traces.shape[1]
    spectrum = scipy.fft.rfft(traces.astype(np.float32), axis=1)
    hz = scipy.fft.rfftfreq(n, 1 / rate)
    low, high = band_hz
    inside = (hz >= low) & (hz <= high)
    if not inside.any():  # a handful of samples
        inside = hz > 0
    band = scipy.fft.irfft(spectrum * inside, n, axis=1)
    noise = medians(np.abs(band, out=band)) / 0.6745

    mains_db = np.full(len(traces), MAINS_FLOOR_DB, np.float32)
    if n < 0.99 * BLOCK_S * rate:
        return noise, mains_db
    power = spectrum.real**2 + spectrum.imag**2
    total = power[:, (hz >= 40) & (hz <= high)].sum(axis=1)
    for fundamental in MAINS_HZ:
        line = np.zeros(len(traces), np.float32)
        for frequency in fundamental * np.arange(1, MAINS_HARMONICS + 1):
            bin = round(frequency * n / rate)
            if bin + 3 < power.shape[1] and frequency < high:
                beside = power[:, [bin - 3, bin - 2, bin + 2, bin + 3]].mean(axis=1)
                line += power[:, bin - 1 : bin + 2].sum(axis=1) - 3 * beside
        there = line > 1e-4 * total  # else the floor
        ratio = line[there] / np.maximum(total[there] - line[there], 1e-12 * total[there])
        mains_db[there] = np.maximum(mains_db[there], 10 * np.log10(ratio))
    return noise, mains_db


def medians(sizes: np.ndarray) -> np.ndarray:
    """Return the median of each row, float32 (rows,), of float32 (rows, n) that are none below 0.

    ``np.median`` takes three times as long: it moves what is counted here.
    """
    return _medians(np.ascontiguousarray(sizes).view(np.int32)).view(np.float32).mean(axis=1)


@njit(nogil=True, cache=True)
def _medians(bits):
    """Find the two numbers in the middle of each row, int32 (rows, 2): the bits of floats from 0 on rise as they do."""
    n = bits.shape[1]
    middle = np.empty((len(bits), 2), np.int32)
    for r in range(len(bits)):
        row, low, high = bits[r], np.int32(0), np.int32(0x7F800000)
        while low < high:  # to the least number that more than half of them do not exceed
            between = low + (high - low) // np.int32(2)
            below = 0
            for i in range(n):
                below += row[i] <= between
            if below > n // 2:
                high = between
            else:
                low = between + np.int32(1)
        below, beneath = 0, np.int32(0)
        for i in range(n):
            below += row[i] < low
            beneath = max(beneath, row[i] * (row[i] < low))
        middle[r, 0] = beneath if n % 2 == 0 and below == n // 2 else low
        middle[r, 1] = low
    return middle
