"""The electrodes' own stream of a file that holds several, and the gaps over which readers lay it end to end.

The only stream of electrodes as they were recorded is taken; of several one is picked by its name; what was derived
from it (LFP) is taken only when it is picked; an input that is no electrode never is.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError

Opened = tuple[sc.BaseRecording, list[Path]]
"""A recording, and the files that it is read from, that of the samples first."""
AUXILIARY = re.compile(
    r"aux|analog|adc|dac|digital|ttl|sync|supply|temperature|stim|trigger|event|nidq|ni-daq|obx", re.IGNORECASE
)
"""Words in the name of a stream that holds no electrodes."""
DERIVED = re.compile(r"lfp|serieslf|\blf\b|filt|low.?pass|high.?pass|\bdc\b|processing/", re.IGNORECASE)
"""Words in the name of a stream derived from the electrodes' own: taken only when it is picked."""


def refuse_choice(name: str, **choices: str | None) -> None:
    """Raise where a well or a stream was picked of what has none."""
    for what, choice in choices.items():
        if choice is not None:
            raise InputError(f"{name} has no {what}s: leave the {what} out")


def pick_stream(name: str, streams: Sequence[str], stream: str | None) -> str:
    """Pick the stream of electrodes among ``streams``, or the one that ``stream`` names in full or in part."""
    electrodes = [s for s in streams if not AUXILIARY.search(s)]
    own = [s for s in electrodes if not DERIVED.search(s)]
    choices = ", ".join(f"'{s}'" for s in electrodes)
    if not electrodes:
        raise InputError(
            f"{name} holds no stream of electrodes, only {', '.join(streams) or 'none at all'}: choose another file"
        )
    if stream is None:
        if len(own) == 1:
            return own[0]
        raise InputError(
            f"{name} holds {'several' if own else 'only filtered'} streams of electrodes: pick one of {choices} with "
            f'--set "01_preprocessing.stream=NAME"'
        )
    named = [s for s in streams if s == stream] or [s for s in streams if stream.lower() in s.lower()]
    if len(named) == 1 and named[0] in electrodes:
        return named[0]
    if len(named) == 1:
        raise InputError(f"'{named[0]}' of {name} is no stream of electrodes: pick one of {choices}")
    if len(streams) == 1:
        raise InputError(f"{name} holds a single stream, {choices}, and no '{stream}': leave the stream out")
    raise InputError(f"{name} holds {'several streams' if named else 'no stream'} '{stream}': pick one of {choices}")


def open_neo(extractor: type, path: Path, stream: str | None) -> Opened:
    """Open one file, with as many streams as neo finds in it."""
    names, ids = extractor.get_streams(path)
    chosen = pick_stream(path.name, [str(n) or str(i) for n, i in zip(names, ids)], stream)
    index = names.index(chosen) if chosen in names else ids.index(chosen)
    recording = extractor(path, stream_id=ids[index])
    recording.annotate(streams=[str(n) for n in names], stream=chosen)
    return recording, [path]


def at_breaks(
    recording: sc.BaseRecording, name: str, begins: Sequence[tuple[np.ndarray, np.ndarray]]
) -> sc.BaseRecording:
    """Divide each segment of a recording at the gaps over which SpikeInterface lays it end to end.

    ``begins`` are, for each segment, the frames int64 (stretches,) with which stretches of time begin, and when that
    was, float64 (stretches,) in s.
    """
    if all(len(frames) == 1 for frames, _ in begins):
        return recording
    pieces, rate = [], recording.get_sampling_frequency()
    for segment, (frames, times_s) in enumerate(begins):
        if (np.diff(times_s) * rate < np.diff(frames) - 0.5).any():
            raise InputError(f"{name} has stretches of time that overlap or run backwards: export it anew")
        own = recording.select_segments([segment])
        pieces += [own.frame_slice(int(a), int(b)) for a, b in zip(frames, [*frames[1:], own.get_num_samples()])]
    divided = sc.append_recordings(pieces)
    for segment, time_s in enumerate(np.concatenate([times_s for _, times_s in begins])):
        divided.shift_times(float(time_s) - divided.get_start_time(segment), segment)
    return divided


def stretches_of_blocks(frames: np.ndarray, times_s: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return first frames and times of stretches, of blocks that begin with ``frames`` int64 at ``times_s``."""
    begins = np.abs(np.diff(times_s) * rate_hz - np.diff(frames)) > 1.5
    return tuple(each[np.r_[True, begins]] for each in (np.asarray(frames), np.asarray(times_s)))
