"""Training, validation and test: split in time or by recording, enough windows in each, and none in two of them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from meagan_lib import InputError, choose
from meagan_lib.windows.spike_windows import Ledger, SpikeWindows, Split


def require_fractions(fractions: Sequence[float]) -> None:
    """Refuse what is not three positive fractions with sum 1."""
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InputError(f"the fractions of the split must be three positive numbers with sum 1, not {fractions}")


def split_in_time(
    frame: np.ndarray,
    n_frames: int,
    n_samples: int,
    fractions: tuple[float, float, float] = (0.6, 0.1, 0.3),
    cycles: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the split (n,) uint8 of each frame, and whether (n,) bool it stands too near to another split to be used.

    The recording is cut into ``cycles`` equal stretches, each of them into a block of training, validation and test
    time with the given fractions. A peak within one window's length of a block's edge is not used, so that windows of
    different splits are more than a window apart.
    """
    require_fractions(fractions)
    if cycles < 1:
        raise InputError(f"split_cycles is {cycles}: it must be 1 or more")
    if cycles > 1 and (shortest := min(fractions) * n_frames / cycles) <= 2 * n_samples:
        raise InputError(
            f"split_cycles is {cycles}, which makes stretches of {shortest:.0f} samples, and at either end of each a "
            f"window's length, {n_samples} samples, is left out: lower it"
        )
    edges = ((np.arange(cycles)[:, None] + np.cumsum(fractions)) * n_frames / cycles).ravel()[:-1]
    block = np.searchsorted(edges, frame, side="right")
    distance = np.abs(frame[:, None] - edges).min(axis=1)
    return (block % 3).astype(np.uint8), distance < n_samples


LEAST = (20, 2, 10)
"""Windows to train, to validate and to test with which every notebook still runs to its end."""


def require_enough(windows: SpikeWindows, minimum: int) -> None:
    """Raise when there are fewer than ``minimum`` windows to train, a tenth of it to validate or a quarter to test.

    No ``minimum`` asks for less than ``LEAST``, but with 0 any window will do, of whichever split. The InputError has
    the counts and the parameters to relax.
    """
    train, validation, test = there = [int((windows.split == s).sum()) for s in Split]
    needed = (minimum, -(-minimum // 10), -(-minimum // 4))
    needed = tuple(map(max, needed, LEAST)) if minimum else needed
    if any(there) and all(n >= least for n, least in zip(there, needed)):
        return
    lower = f"--set 01_preprocessing.threshold_mad={0.8 * windows.detection.get('threshold_mad', 5.0):g}"
    if windows.ledger and not len(windows.ledger.frame):
        raise InputError(
            "too few isolated spikes: none, for nothing in the recording stands out from its noise: take a recording "
            f"of active cells, or lower the threshold with {lower}"
        )
    counted, remedy = f"windows: {len(windows.split)} windows", "add windows"
    if windows.ledger:
        counted = f"isolated spikes: {len(windows.split)} windows of {len(windows.ledger.frame)} detected peaks"
        remedy = f"use a longer recording, or relax threshold_mad, guard_ms or window_ms (such as {lower})"
    if all(n >= least for n, least in zip(there, LEAST)):
        most = min(train, 10 * validation, 4 * test)
        remedy += ", or make do with these, which rank models only roughly, by --set 01_preprocessing."
        remedy += f"min_train_windows={most}"
    wanted = f"{needed[0]}, {needed[1]} and {needed[2]} are" if minimum else "one at least is"
    raise InputError(
        f"too few {counted} ({train} to train, {validation} to validate, {test} to test), and {wanted} needed: {remedy}"
    )


def fingerprints(windows: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Return a number int64 (n,) for each window (n, samples), the same for equal windows alone; of one process.

    Where the ``noise`` level is known, windows within a hundredth of it are equal: noise never comes twice, and a
    filter rounds the same signal in several ways.
    """
    rounded = np.rint(windows * np.float32(100 / noise)) if noise > 0 else windows
    return np.array([hash(row.tobytes()) for row in rounded + np.float32(0)], np.int64)  # −0 equals 0


def require_apart(windows: SpikeWindows, fingerprint: np.ndarray | None = None) -> None:
    """Raise when a window of one split equals a window of another one; copies within a split are allowed.

    So when those to train are all alike. ``fingerprint`` int64 (n,): of :func:`fingerprints`, where the windows
    themselves are not in memory. The InputError says how many windows there are, and what to leave out.
    """
    if fingerprint is None:
        noise = float(np.median(windows.noise_mad)) if len(windows.noise_mad) else 0.0
        fingerprint = fingerprints(windows.windows, noise)
    kinds, kind = np.unique(fingerprint, return_inverse=True)
    train = kind[windows.split == Split.TRAIN]
    if len(train) > 1 and (train == train[0]).all():
        raise InputError(f"all {len(train)} training windows are alike, with nothing to learn from them: take others")
    stands_in = np.zeros((len(kinds), len(Split)), bool)
    stands_in[kind, windows.split] = True
    shared = (stands_in.sum(axis=1) > 1)[kind]
    if not shared.any():
        return
    names = [f"'{windows.recordings[i]}'" for i in np.unique(windows.recording[shared])]
    if len(names) > 1:
        remedy = f"leave all but one of the recordings {', '.join(names)} out"
    elif windows.ledger is not None:
        remedy = "the recording repeats itself, so cut what is repeated out of it"
    else:
        rows = 'numpy.sort(numpy.unique(windows.astype("f4"), axis=0, return_index=True)[1])'
        remedy = f"keep one of each, which are the rows {rows}"
    raise InputError(
        f"{int(shared.sum())} of {len(shared)} windows have a copy in another one of training, validation and "
        f"test, where models would be scored on what they have seen: {remedy}"
    )


def require_splittable(n_recordings: int, by: str) -> None:
    """Raise an InputError when there are too few recordings to split ``by`` recording, or for an unknown word."""
    choose("split_by", by, ("recording", "time"))
    if by == "recording" and n_recordings < len(Split):
        raise InputError(
            f"splitting by recording needs 3 recordings with spikes, one each for training, validation and test, and "
            f'there are {n_recordings}: add recordings, or ask for split_by = "time" '
            f"(--set merge.split_by=time), which splits each recording in time"
        )


def require_same(values: Mapping[str, object], what: str) -> None:
    """Raise an InputError that names the first recording whose value of ``what`` is not that of most."""
    common, _ = Counter(values.values()).most_common(1)[0]
    for name, value in values.items():
        if value != common:
            raise InputError(
                f"recording '{name}' cannot be merged with the others: its {what} is {value}, and theirs {common}; "
                f"leave it out, or make it alike first"
            )


def merge(
    parts: Mapping[str, SpikeWindows],
    by: str = "recording",
    fractions: tuple[float, float, float] = (0.6, 0.1, 0.3),
    seed: int = 0,
) -> SpikeWindows:
    """Join the windows of several recordings, by name, in one set.

    The columns stand one recording after the other, footprints with them; ``recording`` says which. Channels and frames
    count within their recording; units keep apart (those of a later recording are counted on from the earlier ones, −1
    stays −1).

    By ``"recording"`` whole recordings go to training, validation or test, so that the windows come closest to the
    ``fractions``, the largest recording first; among recordings of the same size the ``seed`` decides. By ``"time"``
    every recording keeps its own split in time, and is then in training, validation and test alike.

    ``InputError``: recordings that differ in sampling rate, length of a window, amplitude unit or parameters of
    detection; the same recording twice, or windows of it in two splits (:func:`require_apart`); fewer than three
    recordings with windows, for ``by="recording"``.
    """
    names, windows = list(parts), list(parts.values())
    sizes = np.array([len(w) for w in windows])
    require_splittable(np.count_nonzero(sizes), by)
    for name, what in {
        "sampling_rate_hz": "sampling rate in Hz",
        "n_samples": "number of samples in a window",
        "pre_samples": "sample of the peak",
        "electrodes": "number of electrodes in a window",
        "amplitude_unit": "amplitude unit",
    }.items():
        require_same({label: getattr(w, name) for label, w in parts.items()}, what)
    require_same({label: json.dumps(w.detection, sort_keys=True) for label, w in parts.items()}, "detection")
    owner: dict[str, str] = {}
    for name, w in parts.items():
        for sha in w.source_hashes[:1]:  # of the samples: what describes them may be alike in others
            if owner.setdefault(sha, name) != name:
                raise InputError(f"recordings '{owner[sha]}' and '{name}' are the same file: leave one of them out")

    def index(of: list) -> np.ndarray:
        return np.repeat(np.arange(len(of), dtype=np.uint16), [len(o) for o in of])

    def spans(name: str) -> np.ndarray:
        own = [getattr(w, name) for w in windows]
        return np.concatenate([np.c_[np.full(len(s), i, np.int64), s[:, 1:]] for i, s in enumerate(own)])

    units = [int(w.label.max(initial=-1)) + 1 for w in windows]
    joined = {
        name: np.concatenate([getattr(w, name) for w in windows])
        for name in ("windows", "channel", "frame", "label", "split", "noise_mad", "positions_um")
    }
    label = joined["label"]
    label[label >= 0] += np.repeat(np.cumsum([0, *units[:-1]]), sizes).astype(np.int32)[label >= 0]
    if by == "recording":
        joined["split"] = np.repeat(_whole_to_splits(sizes, fractions, seed), sizes)
    for name in ("around", "footprints"):
        if windows[0].footprints is not None:
            joined[name] = np.concatenate([getattr(w, name) for w in windows])
    ledger = None
    if all(w.ledger is not None for w in windows):
        ledgers = [w.ledger for w in windows]
        ledger = replace(Ledger.join(ledgers), recording=index([part.frame for part in ledgers]))
    merged = replace(
        windows[0],
        **joined,
        detection=windows[0].detection | {"split_by": by},
        source_hashes=[sha for w in windows for sha in w.source_hashes],
        ledger=ledger,
        recording=index(windows),
        recordings=names,
        noise_recording=index([w.noise_mad for w in windows]),
        stretches=spans("stretches"),
        planted_bursts=spans("planted_bursts"),
    )
    require_apart(merged)
    return merged


def _whole_to_splits(sizes: np.ndarray, fractions: tuple[float, float, float], seed: int) -> np.ndarray:
    """Choose the split uint8 (recordings,) of whole recordings with ``sizes`` windows; none of the three stays empty.

    The largest goes first, each to the split that still lacks most of its fraction.
    """
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lack = np.array(fractions) * sizes.sum()
    split, empty = np.zeros(len(sizes), np.uint8), np.ones(len(Split), bool)
    for left, i in zip(range(np.count_nonzero(sizes), -len(sizes), -1), order):
        choice = np.argmax(np.where(empty, lack, -np.inf) if empty.sum() == left else lack)
        split[i], empty[choice] = choice, False
        lack[choice] -= sizes[i]
    return split
