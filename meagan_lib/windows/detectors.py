"""What finds the spikes of a run: looked at before it starts, without what it takes to find them."""

from meagan_lib import InputError, choose

DETECTORS = ("threshold", "learned")
"""What finds the spikes of a run: a depth in noise levels, or a network that learned from painted spikes."""


def require_detector(name: str, false_positives: float, voltage: bool = True) -> None:
    """Refuse a detector that is not known, or that has nothing to search, and a rate of false positives of 0."""
    choose("detector", name, DETECTORS)
    if name == "learned" and not voltage:
        raise InputError("these windows were cut already, and there is nothing to search: set detector to threshold")
    if name == "learned" and not false_positives > 0:
        raise InputError(
            f"false_positives is {false_positives:g}, and no detector is never wrong: give how many a second and "
            f"electrode may be, such as 0.05"
        )
