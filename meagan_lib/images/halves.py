"""Two halves of the pieces, never to be mixed: one for generators and training, one for the test.

A :class:`TrainingHalf` knows the photographs of its pieces and no others: crops to train on cannot come from the test.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from meagan_lib import InputError, choose
from meagan_lib.images.crops import Crops, background_crops, defect_crops
from meagan_lib.images.photographs import FREE, Photograph, kinds


@dataclass(frozen=True)
class TrainingHalf:
    """Photographs of the pieces that generators and segmentation networks may learn from."""

    photographs: tuple[Photograph, ...]

    def pieces(self, kind: str) -> int:
        """Count the pieces with a defect of a kind."""
        return len({photograph.piece for photograph in self.photographs if photograph.kind == kind})

    def annotated(self, kind: str, n: int, seed: int, exposures: int = 1) -> "TrainingHalf":
        """Keep ``n`` pieces with a defect of a kind, of each so many photographs (all: 0), and all without a defect.

        Those of a smaller ``n`` are among those of a larger one with the same seed.
        """
        rng, by_piece = np.random.default_rng(seed), defaultdict(list)
        for photograph in self.photographs:
            if photograph.kind == kind:
                by_piece[photograph.piece].append(photograph)
        order = rng.permutation(sorted(by_piece))
        shuffled = [[by_piece[piece][i] for i in rng.permutation(len(by_piece[piece]))] for piece in order]
        chosen = [photograph for its in shuffled[:n] for photograph in its[: exposures or None]]
        return replace(self, photographs=(*chosen, *(p for p in self.photographs if p.kind == FREE)))

    def crops(self, kind: str, size: int, seed: int, draws: int = 8) -> Crops:
        """Cut ``draws`` crops at each place of the defects of a kind: the same pixels, in several surroundings."""
        return defect_crops(_of(self.photographs, kind), size, seed, draws)

    def backgrounds(self, size: int, seed: int, each: int = 4, most: int = 250) -> np.ndarray:
        """Cut ``each`` crops (n, size, size) from photographs without a defect: all, or ``most`` of them at random."""
        without = _of(self.photographs, FREE)
        kept = np.random.default_rng(seed).permutation(len(without))[:most]
        return background_crops([without[i] for i in sorted(kept)], size, seed, each).images


@dataclass(frozen=True)
class TestHalf:
    """Photographs of the other pieces, which nothing learns from."""

    __test__ = False  # no class of tests
    photographs: tuple[Photograph, ...]

    def test_set(self, kind: str, size: int, seed: int = 0) -> Crops:
        """Cut crops around the defects of a kind, and one from each photograph without a defect."""
        defects = defect_crops(_of(self.photographs, kind), size, seed)
        return defects.joined(background_crops(_of(self.photographs, FREE), size, seed, each=1))


def _of(photographs: Iterable[Photograph], kind: str) -> list[Photograph]:
    """Return the photographs of a kind."""
    photographs = list(photographs)
    choose("the class of defects", kind, [*kinds(photographs), FREE])
    return [photograph for photograph in photographs if photograph.kind == kind]


def split(photographs: Iterable[Photograph], seed: int = 0) -> tuple[TrainingHalf, TestHalf]:
    """Split photographs by piece into two halves, each with about half the pieces of every class.

    Raises
    ------
    InputError
        No photograph without a defect, or fewer pieces of a class than two for each half.
    """
    photographs = tuple(photographs)
    classes = defaultdict(set)
    for photograph in photographs:
        classes[photograph.piece].add(photograph.kind)
    training = training_pieces(classes, seed)
    halves = tuple(tuple(p for p in photographs if (p.piece in training) == inside) for inside in (True, False))
    for kind in (FREE, *kinds(photographs)):
        n = min(len({p.piece for p in half if p.kind == kind}) for half in halves)
        if n < 2:
            what = "without a defect" if kind == FREE else f"with a '{kind}'"
            raise InputError(
                f"there are too few pieces {what} ({sum(kind in its for its in classes.values())}): "
                f"each half, to train on and to test on, needs two"
            )
    return TrainingHalf(halves[0]), TestHalf(halves[1])


def training_pieces(classes: Mapping[int, Iterable[str]], seed: int) -> frozenset[int]:
    """Return which pieces are for training, half of them: piece → classes that it shows.

    Pieces are grouped by the rarest class that they show, shuffled, and go to one half and to the other in turn: the
    halves differ by one piece at most, in all and in each of these groups.
    """
    rng, groups = np.random.default_rng(seed), defaultdict(list)
    shown_by = Counter(kind for its in classes.values() for kind in set(its))
    for piece in sorted(classes):
        groups[min(classes[piece], key=lambda kind: (shown_by[kind], kind))].append(piece)
    in_turn = [piece for group in sorted(groups) for piece in rng.permutation(groups[group]).tolist()]
    return frozenset(in_turn[::2])
