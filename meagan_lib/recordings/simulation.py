"""A recording with known spikes: a patch of a 3Brain chip, simulated by SpikeInterface, as a BRW 3.x file.

The physics is SpikeInterface's ground-truth generator (Buccino et al. 2020, doi:10.7554/eLife.61834);
this module chooses the patch, the rates and the noise, and writes the file.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc
import spikeinterface.preprocessing as spre
from scipy.signal import butter, sosfilt
from spikeinterface.core.generate import generate_unit_locations
from spikeinterface.generation import (
    InjectTemplatesRecording,
    NoiseGeneratorRecording,
    generate_sorting,
    generate_templates,
)

from meagan_lib.recordings.brw import CHIP_ELECTRODES
from meagan_lib.recordings.brw import DEFAULT_PITCH_UM as PITCH_UM
from meagan_lib.workflow.files import atomic

MAX_UV, BIT_DEPTH = 4125.0, 12
UV_PER_STEP = 2 * MAX_UV / 2**BIT_DEPTH
BLOCK_SAMPLES = 2**23
"""Samples of all electrodes that are simulated at once."""


@dataclass(frozen=True)
class SimulationConfig:
    """What is simulated. Rates are those inside a network burst; between bursts they fall to ``rest_fraction``."""

    seed: int = 0
    duration_s: float = 60.0
    sampling_rate_hz: float = 20_000.0
    patch: int = 8
    """Electrodes along one side of the square patch in the middle of the chip."""
    n_units: int = 60
    burst_rate_hz: tuple[float, float] = (1.0, 7.0)
    """Lowest and highest firing rate of a unit within a burst: about 1 Hz over all, as cells of organoids fire."""
    rest_fraction: float = 0.2
    """Firing rate between bursts, as a fraction of the rate within."""
    burst_every_s: float = 4.0
    burst_length_s: float = 0.6
    participation: float = 1.0
    """Fraction of the network bursts in which a unit takes part; the others pass it by."""
    amplitude_cv: float = 0.10
    """Spike-to-spike standard deviation of the amplitude over its mean."""
    white_noise_uv: float = 3.0
    """Standard deviation of the electronic (white) noise."""
    background_noise_uv: float = 10.0
    """Standard deviation of the background of distant cells, white noise through ``background_cutoff_hz``."""
    background_cutoff_hz: float = 1_000.0


@dataclass(frozen=True)
class GroundTruth:
    """What was put into a simulated recording.

    ``frame`` int64 (n,), ``unit`` int32 (n,) and ``amplitude_factor`` float32 (n,), sorted by frame;
    ``templates_uv`` float32 (units, samples, channels) with the spike's frame at sample ``n_before``;
    ``bursts`` int64 (bursts, 2): first frame and end of each network burst.
    """

    frame: np.ndarray
    unit: np.ndarray
    amplitude_factor: np.ndarray
    templates_uv: np.ndarray
    n_before: int
    bursts: np.ndarray

    def save(self, path: Path) -> None:
        """Write as ``.npz``, atomically."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **self.__dict__)

    @classmethod
    def load(cls, path: Path) -> "GroundTruth":
        """Read what :meth:`save` wrote; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{k: arrays[k] for k in arrays.files if k != "n_before"}, n_before=int(arrays["n_before"]))


def truth_path(recording: Path | str) -> Path:
    """Return where the ground truth of a simulated recording lies: beside it."""
    return Path(recording).with_suffix(".truth.npz")


def simulated_path(config: SimulationConfig, folder: Path) -> Path:
    """Return the file of this simulation, whose name changes with the configuration and with this module."""
    key = json.dumps(asdict(config), sort_keys=True) + Path(__file__).read_text()
    return Path(folder) / f"simulated_seed{config.seed}_{hashlib.sha256(key.encode()).hexdigest()[:8]}.brw"


def simulate(config: SimulationConfig, path: Path) -> Path:
    """Simulate a recording into ``path`` (BRW 3.x) with its :class:`GroundTruth` beside it.

    The same configuration gives the same bytes on one machine.
    """
    truth, signal, background = _ground_truth_recording(config)
    truth.save(truth_path(path))
    with atomic(path) as temporary:
        _write_brw(temporary, signal, background, _patch_electrodes(config.patch))
    return path


def network_bursts(config: SimulationConfig) -> np.ndarray:
    """Draw intervals (bursts, 2) in seconds of the bursts that all units share: onsets jittered around a period."""
    rng = np.random.default_rng([config.seed, 1])
    n = int(config.duration_s / config.burst_every_s)
    onset = (np.arange(n) + 0.5 + 0.2 * rng.standard_normal(n).clip(-1.5, 1.5)) * config.burst_every_s
    length = config.burst_length_s * rng.uniform(0.6, 1.4, n)
    return np.stack([onset, onset + length], axis=1)


def burst_frames(config: SimulationConfig) -> np.ndarray:
    """Return :func:`network_bursts` as frames int64 (bursts, 2), none beyond the end of the recording."""
    end = round(config.duration_s * config.sampling_rate_hz)
    return np.rint(network_bursts(config) * config.sampling_rate_hz).astype(np.int64).clip(0, end)


def spikes(config: SimulationConfig) -> tuple[np.ndarray, np.ndarray]:
    """Draw frames int64 (n,) and units int32 (n,) of all spikes, sorted by frame: the network without a voltage."""
    fired = _sorting(config, np.random.default_rng([config.seed, 0])).to_spike_vector()
    return fired["sample_index"].astype(np.int64), fired["unit_index"].astype(np.int32)


def _sorting(config: SimulationConfig, rng: np.random.Generator) -> sc.NumpySorting:
    """Draw renewal trains that are thinned outside the network bursts in which their units take part."""
    peak_rates = np.exp(rng.uniform(*np.log(config.burst_rate_hz), config.n_units))
    sorting = generate_sorting(
        config.n_units,
        config.sampling_rate_hz,
        [config.duration_s],
        firing_rates=peak_rates,
        refractory_period_ms=3.0,
        seed=config.seed,
    )
    fired = sorting.to_spike_vector()
    seconds = fired["sample_index"] / config.sampling_rate_hz
    bursts = network_bursts(config)
    takes_part = np.random.default_rng([config.seed, 2]).random((config.n_units, len(bursts))) < config.participation
    within = (seconds[:, None] >= bursts[:, 0]) & (seconds[:, None] < bursts[:, 1])
    in_burst = (within & takes_part[fired["unit_index"]]).any(axis=1)
    # Thinning a renewal train keeps its refractory period.
    fired = fired[in_burst | (rng.random(len(fired)) < config.rest_fraction)]
    return sc.NumpySorting(fired, config.sampling_rate_hz, unit_ids=sorting.unit_ids)


def _patch_electrodes(patch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns (0-based) of a square patch in the middle of the chip, row by row."""
    first = (CHIP_ELECTRODES - patch) // 2
    row, col = np.divmod(np.arange(patch * patch), patch)
    return row + first, col + first


def _ground_truth_recording(config: SimulationConfig):
    rate, duration = config.sampling_rate_hz, [config.duration_s]
    row, col = _patch_electrodes(config.patch)
    positions = np.stack([row, col], axis=1) * PITCH_UM
    n_channels = len(positions)

    rng = np.random.default_rng([config.seed, 0])
    locations = generate_unit_locations(
        config.n_units,
        positions,
        margin_um=5.0,
        minimum_z=8.0,
        maximum_z=30.0,
        minimum_distance=12.0,
        max_iteration=1000,
        seed=config.seed,
    )
    ms_before, ms_after = 1.5, 2.5
    templates = generate_templates(
        positions,
        locations,
        rate,
        ms_before,
        ms_after,
        seed=config.seed,
        unit_params=dict(
            alpha=(150.0, 420.0),
            depolarization_ms=(0.09, 0.16),
            repolarization_ms=(0.4, 0.9),
            recovery_ms=(0.8, 1.5),
            positive_amplitude=(0.05, 0.25),
            smooth_ms=(0.03, 0.08),
            spatial_decay=(18.0, 32.0),
        ),
    )
    n_before = int(ms_before * rate / 1000)

    sorting = _sorting(config, rng)
    fired = sorting.to_spike_vector()
    factor = (1 + config.amplitude_cv * rng.standard_normal(len(fired))).clip(0.5, 1.5).astype(np.float32)
    white = NoiseGeneratorRecording(
        n_channels, rate, duration, noise_levels=config.white_noise_uv, seed=config.seed + 1, strategy="on_the_fly"
    )
    signal = InjectTemplatesRecording(
        sorting, templates, nbefore=n_before, amplitude_factor=factor, parent_recording=white
    )
    unfiltered = NoiseGeneratorRecording(
        n_channels, rate, duration, noise_levels=1.0, seed=config.seed + 2, strategy="on_the_fly"
    )
    lowpass = butter(1, config.background_cutoff_hz, fs=rate, output="sos")
    # The standard deviation of filtered unit white noise is the norm of the filter's impulse response.
    unit_std = np.linalg.norm(sosfilt(lowpass, np.r_[1.0, np.zeros(2000)]))
    background = spre.scale(
        spre.filter(unfiltered, coeff=lowpass, direction="forward", margin_ms=10.0),
        gain=config.background_noise_uv / unit_std,
        offset=0.0,
    )
    truth = GroundTruth(
        fired["sample_index"].astype(np.int64),
        fired["unit_index"].astype(np.int32),
        factor,
        templates.astype(np.float32),
        n_before,
        burst_frames(config),
    )
    return truth, signal, background


def create_brw(
    file: h5py.File,
    electrodes: tuple[np.ndarray, np.ndarray],
    sampling_rate_hz: float,
    n_frames: int,
    frames_per_chunk: int = 4096,
) -> h5py.Dataset:
    """Write the header of a BRW 3.x file and return its samples to fill: flat uint16 codes of 12 bits, frame-major.

    ``electrodes`` are rows and columns (channels,), from 0.
    """
    n_channels = len(electrodes[0])
    chs = np.empty(n_channels, dtype=[("Row", "<i2"), ("Col", "<i2")])
    chs["Row"], chs["Col"] = electrodes[0] + 1, electrodes[1] + 1
    variables = {
        "BitDepth": np.uint8(BIT_DEPTH),
        "MaxVolt": MAX_UV,
        "MinVolt": -MAX_UV,
        "NRecFrames": np.int64(n_frames),
        "SamplingRate": float(sampling_rate_hz),
        "SignalInversion": 1.0,
    }
    info = file.create_group("3BRecInfo")
    info.attrs["Version"] = np.int32(102)
    for name, value in variables.items():
        info.create_dataset(f"3BRecVars/{name}", data=np.array([value]))
    for name in ("NRows", "NCols"):
        info.create_dataset(f"3BMeaChip/{name}", data=np.array([CHIP_ELECTRODES], dtype=np.uint32))
    info.create_dataset("3BMeaStreams/Raw/Chs", data=chs)
    data = file.create_group("3BData")
    data.attrs["Version"] = np.int32(102)
    return data.create_dataset("Raw", (n_frames * n_channels,), dtype="<u2", chunks=(frames_per_chunk * n_channels,))


def _write_brw(path: Path, signal, background, electrodes: tuple[np.ndarray, np.ndarray]) -> None:
    """Write the sum of two recordings (µV) as BRW 3.x."""
    n_frames, n_channels = signal.get_num_samples(), signal.get_num_channels()
    frames_per_block = min(20_000, max(BLOCK_SAMPLES // n_channels, 1000))
    with h5py.File(path, "w") as file:
        raw = create_brw(file, electrodes, signal.get_sampling_frequency(), n_frames)
        for start in range(0, n_frames, frames_per_block):
            frames = dict(start_frame=start, end_frame=min(start + frames_per_block, n_frames))
            uv = signal.get_traces(**frames) + background.get_traces(**frames)
            raw[start * n_channels : start * n_channels + uv.size] = to_codes(uv).ravel()


def to_codes(uv: np.ndarray) -> np.ndarray:
    """Convert microvolts to 12-bit codes: the inverse of µV = code · UV_PER_STEP − MAX_UV, within half a step."""
    return np.rint((uv + MAX_UV) / UV_PER_STEP).clip(0, 2**BIT_DEPTH - 1).astype(np.uint16)
