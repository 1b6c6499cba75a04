"""Which channels of a recording can be trusted: a verdict for each, from a seeded sample of its raw traces."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
import scipy.fft
import spikeinterface.core as sc

from meagan_lib import InputError

MAINS_HZ = (50.0, 60.0)
MAINS_HARMONICS = 5
MAINS_S = 0.2
MAINS_FLOOR_DB = -40.0
_ROUNDING = 12**-0.5
_CHANNELS_AT_ONCE = 256


class Verdict(IntEnum):
    """What is wrong with a channel."""

    GOOD = 0
    CONSTANT = 1
    DEAD = 2
    CLIPPED = 3
    NOISY = 4
    MAINS = 5


PRECEDENCE = (Verdict.NOISY, Verdict.MAINS, Verdict.CLIPPED, Verdict.DEAD, Verdict.CONSTANT)
"""Where several verdicts hold, the last of these is given: it explains the others."""


@dataclass(frozen=True)
class QualityConfig:
    """Where a channel stops being good."""

    n_blocks: int = 20
    """Blocks that are read: 4 s in all, in which a channel that is noisy now and then is noisy at least once."""
    block_s: float = 0.2
    """Length of a block, 0.2 s or more, in which 50 and 60 Hz go a whole number of times: no leakage."""
    band_hz: tuple[float, float] = (300.0, 6000.0)
    """Where the noise is measured: the band in which spikes are sought later."""
    dead_fraction: float = 0.25
    """A channel is dead below this fraction of the chip's median noise. Every live channel has the noise of its
    amplifier, which does not depend on the tissue and is more than a quarter of the whole."""
    clipped_fraction: float = 0.005
    """A channel is clipped above this fraction of samples at its rails. Noise that is not clipped, if its standard
    deviation is at least half a step, has less than 0.3 % of its samples at its own extremes."""
    noisy_z: float = 5.0
    """A channel is noisy when its log noise lies this many robust standard deviations above the chip's median."""
    least_spread: float = 0.1
    """That standard deviation is not taken for less than this, so that on a very even chip (or with few channels) a
    channel is not noisy for a few per cent more: at z = 5, a factor of 1.65 is asked for at least."""
    mains_db: float = 0.0
    """A channel is lost to the mains when their power exceeds that of all else between 40 Hz and the upper edge of
    the band: 0 dB."""

    def __post_init__(self):
        if self.block_s < MAINS_S:
            raise InputError(f"block_s is {self.block_s:g}: the mains cannot be measured in less than {MAINS_S:g} s")


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
    config: QualityConfig = QualityConfig(),
    seed: int = 0,
) -> ChannelQuality:
    """Give every channel of an unfiltered recording a verdict.

    Parameters
    ----------
    recording
        Raw traces, one segment or several; a few blocks of them are read, one at a time.
    adc_range
        The converter's lowest and highest code, its rails. By default each channel's own lowest and highest sampled
        value: a channel that is not clipped hardly ever touches them, one that is returns to them all the time.
    config
        Limits, see there.
    seed
        Of the choice of blocks. The result depends on nothing else but the recording.

    Returns
    -------
    ChannelQuality
        Of several verdicts the first is given:

        - constant: not one sample differs, in at least half of the blocks;
        - dead: noise below ``dead_fraction`` of the chip's median, or, for integers, below rounding alone;
        - clipped: more than ``clipped_fraction`` of the samples, and ten at least, at the rails;
        - mains: 50 or 60 Hz and its harmonics have more power than all else;
        - noisy: noise far above that of the other channels.

    Raises
    ------
    InputError
        A recording without a sample.
    """
    blocks = _blocks(recording, config, seed)
    rate, n_channels = recording.get_sampling_frequency(), recording.get_num_channels()
    noise, mains_db = np.zeros((2, len(blocks), n_channels), np.float32)
    constant = np.zeros((len(blocks), n_channels), bool)
    rails = _Rails(n_channels, adc_range)
    for b, (segment, start, end) in enumerate(blocks):
        traces = recording.get_traces(segment, start, end)  # (frames, channels)
        constant[b] = rails.add(traces)
        for first in range(0, n_channels, _CHANNELS_AT_ONCE):
            tile = slice(first, first + _CHANNELS_AT_ONCE)
            noise[b, tile], mains_db[b, tile] = _noise_and_mains(traces[:, tile].T, rate, config)

    noise = np.median(np.where(constant, 0, noise), axis=0)
    mains_db = np.median(np.where(constant, MAINS_FLOOR_DB, mains_db), axis=0)
    steps, clipped = noise, rails.touched / sum(end - start for _, start, end in blocks)
    if recording.has_scaleable_traces():
        noise = noise * np.abs(recording.get_channel_gains()).astype(np.float32)

    constant = constant.mean(axis=0) >= 0.5
    dead = np.zeros(n_channels, bool) if recording.get_dtype().kind == "f" else steps < _ROUNDING
    live = ~constant & ~dead & (noise > 0)
    typical = np.median(noise[live]) if live.any() else 0.0
    dead |= noise <= config.dead_fraction * typical
    live &= ~dead
    log_noise = np.log(noise[live])
    centre = np.median(log_noise) if live.any() else 0.0
    spread = np.median(np.abs(log_noise - centre)) / 0.6745 if live.any() else 0.0
    noisy = np.zeros(n_channels, bool)
    noisy[live] = log_noise - centre > config.noisy_z * max(spread, config.least_spread)
    holds = {
        Verdict.CONSTANT: constant,
        Verdict.DEAD: dead,
        Verdict.NOISY: noisy,
        Verdict.MAINS: mains_db > config.mains_db,
        Verdict.CLIPPED: (clipped > config.clipped_fraction) & (rails.touched >= 10),
    }
    verdict = np.full(n_channels, Verdict.GOOD, np.uint8)
    for v in PRECEDENCE:
        verdict[holds[v]] = v
    return ChannelQuality(verdict, noise, clipped.astype(np.float32), mains_db)


def _blocks(recording: sc.BaseRecording, config: QualityConfig, seed: int) -> list[tuple[int, int, int]]:
    """Return segment, first frame and end of the blocks that are read; a short segment is one block."""
    size = max(1, round(config.block_s * recording.get_sampling_frequency()))
    grid = []
    for segment in range(recording.get_num_segments()):
        n = recording.get_num_samples(segment)
        starts = range(0, n - size + 1, size) if n >= size else [0] * (n > 0)
        grid += [(segment, start, min(start + size, n)) for start in starts]
    if not grid:
        raise InputError("the recording has no samples: is the file complete?")
    chosen = np.random.default_rng(seed).permutation(len(grid))[: config.n_blocks]
    return [grid[i] for i in np.sort(chosen)]


class _Rails:
    """Counts the samples at the rails, block by block."""

    def __init__(self, n_channels: int, adc_range: tuple[float, float] | None) -> None:
        self.range = adc_range
        self.extremes: np.ndarray | None = None  # (2, channels): lowest and highest so far
        self.at = np.zeros((2, n_channels), np.int64)

    @property
    def touched(self) -> np.ndarray:
        """Count samples at the rails, int64 (channels,); none where the rails are not known: on a constant channel."""
        if self.range is not None:
            return self.at.sum(axis=0)
        return np.where(self.extremes[0] < self.extremes[1], self.at.sum(axis=0), 0)

    def add(self, traces: np.ndarray) -> np.ndarray:
        """Count in traces (frames, channels); returns whether each channel is constant in them."""
        extremes = np.stack([traces.min(axis=0), traces.max(axis=0)])
        constant = extremes[0] == extremes[1]
        if self.range is not None:
            self.at += np.stack([(traces <= self.range[0]).sum(axis=0), (traces >= self.range[1]).sum(axis=0)])
            return constant
        at = np.stack([(traces == extreme).sum(axis=0) for extreme in extremes])
        if self.extremes is None:
            self.extremes, self.at = extremes, at
            return constant
        further = np.stack([extremes[0] < self.extremes[0], extremes[1] > self.extremes[1]])
        same = extremes == self.extremes
        self.at = np.where(further, at, self.at + at * same)
        self.extremes = np.where(further, extremes, self.extremes)
        return constant


def _noise_and_mains(traces: np.ndarray, rate: float, config: QualityConfig) -> tuple[np.ndarray, np.ndarray]:
    """Measure noise level within the band and power of the mains in dB, float32 (channels,), of (channels, frames).

    Both from one Fourier transform. The power of a line is what its three bins have beyond their neighbours, two and
    three bins away, so that the slow potentials on which 50 Hz rides are not taken for mains.
    """
    n = traces.shape[1]
    spectrum = scipy.fft.rfft(traces.astype(np.float32), axis=1)
    hz = scipy.fft.rfftfreq(n, 1 / rate)
    low, high = config.band_hz
    inside = (hz >= low) & (hz <= high)
    if not inside.any():  # a handful of samples
        inside = hz > 0
    band = scipy.fft.irfft(spectrum * inside, n, axis=1)
    noise = np.median(np.abs(band), axis=1) / 0.6745

    mains_db = np.full(len(traces), MAINS_FLOOR_DB, np.float32)
    if n < 0.99 * MAINS_S * rate:
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
