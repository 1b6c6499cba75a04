"""Utility: who takes part, what a classifier is trained on, what a generator sees, what a table of gains says."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.svm import SVC

from meagan_lib import InputError
from meagan_lib.experiments import augmentation, sweep, utility
from meagan_lib.experiments.augmentation import ALONE, LABELS, gains
from meagan_lib.experiments.utility import GENERATORS, Labelled, Setting, choose_units, draw_labelled, predict, score
from meagan_lib.models.vae_gan import VAEGANTrainer
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from tests.fixtures import spikes

TINY = {"steps": 3, "batch_size": 4}
SECTION = {
    "seeds": [0, 1],
    "n": [5, 8],
    "units": 3,
    "n_test": 10,
    "n_generated": 12,
    "patch_ms": 0.4,
    "generators": {
        ALONE: {},
        "classical": {"jitter": 1.0},
        "gaussian": {},
        "transformer_gan": TINY,
        "pretrained_vae_gan": TINY | {"vae_steps": 2},
    },
}


def labelled(n: int, seed: int = 0, apart: float = 1.0) -> Labelled:
    """``n`` windows of each of three classes that differ in amplitude."""
    labels = np.repeat(np.arange(3), n)
    return Labelled((1 + apart * labels[:, None]).astype(np.float32) * spikes(len(labels), seed=seed), labels)


def recording(counts: dict[int, tuple[int, int]]) -> SpikeWindows:
    """Units with so many windows to train and to test, in an order by chance."""
    rows = [(unit, split) for unit, its in counts.items() for split, n in zip((0, 2), its) for _ in range(n)]
    label, split = np.random.default_rng(0).permutation(rows).T
    n = len(label)
    windows = (2.0 + label[:, None]) * spikes(n)
    return SpikeWindows(
        windows.astype(np.float32),
        np.zeros(n, np.int32),
        np.arange(n),
        label.astype(np.int32),
        split.astype(np.uint8),
        20_000.0,
        16,
        "uV",
        detection={"band_hz": [300.0, 6000.0], "filter_order": 3},
    )


def setting(unlabelled: np.ndarray | None = None, seed: int = 0, **options) -> Setting:
    return Setting(options, seed, [1.0], unlabelled)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"generators": {ALONE: {}, "gausian": {}}}, "'gausian' is not known"),
        ({"generators": {ALONE: {}, "transformer_gan": {"step": 5}}}, "did you mean 'steps'"),
        ({"generators": {ALONE: {"steps": 5}}}, "'steps' is no option"),
        ({"generators": {"gaussian": {}}}, "has no 'alone'"),
        ({"generators": {ALONE: {}, "vae_gan": {"seed": 5}}}, "seeds stand in utility.seeds"),
        ({"unit": 3}, "has no parameter 'unit': did you mean 'units'"),
        ({"n_generated": "many"}, "n_generated is a whole number"),
        ({"n": [5, 0]}, r"n\[1\] is 0: it must be 1 or more"),
        ({"seeds": []}, "seeds is"),
    ],
)
def test_a_wrong_section_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        utility.cases(SECTION | wrong)


def test_the_units_with_most_windows_take_part_if_they_have_enough_of_both():
    windows = recording({-1: (90, 90), 0: (30, 9), 1: (19, 30), 2: (20, 10), 3: (40, 30), 5: (25, 12)})
    assert choose_units(windows, 20, 10, 5).tolist() == [2, 3, 5]
    assert choose_units(windows, 20, 10, 2).tolist() == [3, 5]
    with pytest.raises(InputError, match="1 units have 20 windows to train and 13 to test"):
        choose_units(windows, 20, 13, 5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_the_few_are_among_the_more_and_of_their_unit_and_split(n, more, seed):
    windows = recording({-1: (5, 5), 2: (20, 10), 3: (40, 30)})
    n, more = sorted((n, more))
    few, many = (draw_labelled(windows, np.array([2, 3]), Split.TRAIN, k, seed) for k in (n, more))
    rows = {window.tobytes(): i for i, window in enumerate(windows.windows)}
    for k, unit in enumerate((2, 3)):
        drawn, among = ([rows[w.tobytes()] for w in part.windows[part.labels == k]] for part in (few, many))
        assert drawn == among[:n] and len(set(among)) == more
        assert (windows.label[among] == unit).all() and (windows.split[among] == Split.TRAIN).all()


def test_copies_of_the_real_windows_change_nothing():
    real, other, asked = (labelled(n, seed, apart=0.3) for n, seed in ((6, 0), (6, 2), (40, 1)))
    copies = Labelled(np.tile(real.windows, (3, 1)), np.tile(real.labels, 3))
    alone = predict(real, None, 0.0, asked.windows)
    for fraction in (0.3, 0.5, 1.0):
        np.testing.assert_array_equal(predict(real, copies, fraction, asked.windows), alone)
    assert not np.array_equal(predict(real, other, 0.5, asked.windows), alone)
    heavier = SVC(C=40, gamma=1 / 32).fit(real.windows / real.windows.std(), real.labels)
    assert not np.array_equal(heavier.predict(asked.windows / real.windows.std()), alone), "weight makes no difference"


def test_the_scores_are_those_of_scikit_learn():
    real, drawn, test = (labelled(n, seed, apart=0.3) for n, seed in ((8, 0), (30, 1), (40, 2)))

    def f1(machine: SVC, train: Labelled, asked: Labelled, weight: float = 1.0) -> float:
        z = (train.windows - real.windows.mean()) / real.windows.std()
        machine.fit(z, train.labels, np.full(len(z), weight))
        predicted = machine.predict((asked.windows - real.windows.mean()) / real.windows.std())
        return f1_score(asked.labels, predicted, average="macro")

    machine, found = SVC(C=10, gamma=1 / 32), score(real, drawn, test)
    assert score(real, None, test)["f1"] == pytest.approx(f1(machine, real, test))
    assert found["trts"] == pytest.approx(f1(machine, real, drawn))
    assert found["tstr"] == pytest.approx(f1(machine, drawn, test, 8 / 30))
    false = Labelled(drawn.windows, (drawn.labels + 1) % 3)
    assert score(real, false, test)["tstr"] < 0.3 < score(real, false, test)["f1"] < found["f1"]


def test_classical_augmentation_moves_scales_and_adds_noise_to_windows_of_the_class():
    few, labels = labelled(5), np.repeat([2, 0], 4000)
    zero = dict.fromkeys(("jitter", "scaling", "noise"), 0.0)
    copies = utility.classical(few, labels, setting(**zero))
    for label in (0, 2):
        own = {w.tobytes() for w in few.windows[few.labels == label]}
        assert {w.tobytes() for w in copies[labels == label]} == own
    noisy = utility.classical(few, labels, setting(**zero | {"noise": 0.2}))
    assert (noisy - copies).std() == pytest.approx(0.2 * few.windows.std(), rel=0.02)
    scaled = utility.classical(few, labels, setting(**zero | {"scaling": 0.1}))
    factor = (scaled * copies).sum(axis=1) / (copies**2).sum(axis=1)
    assert factor.std() == pytest.approx(0.1, rel=0.05) and factor.mean() == pytest.approx(1, abs=0.01)
    ramp = Labelled(np.arange(32.0)[None], np.zeros(1, int))
    moved = utility.classical(ramp, np.zeros(500, int), setting(**zero | {"jitter": 0.5}))
    shift = (ramp.windows - moved)[:, 1:-1]
    assert np.ptp(shift, axis=1).max() < 1e-5 and 0.45 < np.abs(shift).max() <= 0.5 and shift.min() < -0.45


def test_the_gaussian_has_the_means_of_the_classes_and_one_covariance():
    few, labels = labelled(8), np.repeat([0, 1, 2], 20_000)
    drawn = GENERATORS["gaussian"][0](few, labels, setting())
    within = few.windows - np.stack([few.windows[few.labels == k].mean(axis=0) for k in range(3)])[few.labels]
    for k in range(3):
        own = drawn[labels == k]
        np.testing.assert_allclose(own.mean(axis=0), few.windows[few.labels == k].mean(axis=0), atol=0.15)
        assert np.abs(np.cov(own.T) - within.T @ within / (len(within) - 3)).max() < 0.05 * within.var(axis=0).max()


@pytest.mark.parametrize(
    "name, fields",
    [
        ("classical", {}),
        ("gaussian", {}),
        ("transformer_gan", TINY),
        ("vae_gan", TINY | {"vae_steps": 2}),
        ("flow_matching", TINY | {"ode_steps": 2}),
    ],
)
def test_a_generator_needs_nothing_but_the_few_windows_and_gives_the_same_bits_twice(name, fields):
    few, labels = labelled(6), np.repeat([0, 1, 2], 30)
    make, _ = GENERATORS[name]
    drawn = make(few, labels, setting(**fields))
    np.testing.assert_array_equal(drawn, make(few, labels, setting(**fields)))
    assert drawn.shape == (90, 32) and drawn.dtype == np.float32
    assert not np.array_equal(drawn, make(few, labels, setting(seed=1, **fields)))
    assert score(few, Labelled(drawn, labels), few)["trts"] > 0.6


def test_pre_training_sees_the_unlabelled_windows_once_and_varies_the_few(monkeypatch):
    few, labels = labelled(6), np.repeat([2, 0, 1], 200)
    start = setting(labelled(200, seed=1).windows, **TINY | {"vae_steps": 150, "batch_size": 16})
    begun = []
    train = VAEGANTrainer.train
    monkeypatch.setattr(VAEGANTrainer, "train", lambda self: (begun.append(len(self.real)), train(self)))
    drawn = Labelled(utility.pretrained_vae_gan(few, labels, start), labels)
    np.testing.assert_array_equal(utility.pretrained_vae_gan(few, labels, start), drawn.windows)
    assert begun == [600] and score(few, drawn, few)["trts"] > 0.6
    of_one = utility.pretrained_vae_gan(Labelled(few.windows[::6], few.labels[::6]), labels, start)
    for k in range(3):  # windows of one spike are nearer to one another than those of six
        assert of_one[labels == k].var(axis=0).sum() < drawn.windows[labels == k].var(axis=0).sum()


def test_a_case_is_scored_for_every_n_and_gathered(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    path = tmp_path / "run" / "recordings" / "a" / "windows.h5"
    recording({-1: (5, 5), 0: (8, 10), 1: (9, 10), 2: (9, 12), 4: (30, 11)}).save(path)
    cases = [case for case in utility.cases(SECTION) if "pretrained" not in case]
    sweep.gather("run", "utility", [sweep.execute("run", "utility", "a", case, SECTION) for case in cases])
    rows = utility.load(tmp_path / "run" / "utility.csv").to_dict("records")
    assert [(r["generator"], r["seed"], r["n"]) for r in rows] == [
        (*case.split("-")[:1], int(case[-1]), n) for case in cases for n in (5, 8)
    ]
    assert {r["units"] for r in rows} == {3} and all(0 < r["f1"] <= 1 for r in rows)
    assert all(np.isnan(r["tstr"]) == np.isnan(r["trts"]) == (r["generator"] == ALONE) for r in rows)
    _, closing = utility.summary(tmp_path / "run" / "utility.csv")
    assert list(closing)[2:] == ["n = 5", "n = 8"] and len(closing) == 4 and not closing.isna().any(axis=None)
    alone = np.mean([r["f1"] for r in rows if r["generator"] == ALONE and r["n"] == 8])
    assert list(closing.iloc[0])[:2] == ["a", ALONE] and closing.iloc[0]["n = 8"] == f"{alone:.3f}"


def test_every_seed_draws_its_own_few_windows_and_all_share_the_test_windows(monkeypatch):
    drawn, draw = [], utility.draw_labelled

    def drawing(windows, units, split, n, seed):
        drawn.append((split.name, n, seed))
        return draw(windows, units, split, n, seed)

    monkeypatch.setattr(utility, "draw_labelled", drawing)
    windows = recording({0: (8, 10), 1: (9, 10)})
    for seed in (0, 3):
        utility.rows(windows, f"{ALONE}-{seed}", SECTION | {"n": [5]})
    assert [seed for split, _, seed in drawn if split == "TRAIN"] == [0, 3]
    assert {seed for split, _, seed in drawn if split == "TEST"} == {0}


def test_a_divergence_is_a_row_without_scores():
    wild = {"loss": "wasserstein", "gamma": 0.0, "d_learning_rate": 1e18, "steps": 60, "batch_size": 4}
    windows = recording({0: (8, 10), 1: (9, 10)})
    section = SECTION | {"n": [5], "generators": {"transformer_gan": wild}}
    (row,) = utility.rows(windows, "transformer_gan-0", section)
    assert row["diverged"] == "yes" and {row[name] for name in augmentation.SCORES} == {""}


def test_planted_gains_are_found():
    noise = {ALONE: (0.02, 0.0, -0.02), "gaussian": (0.021, 0.0, -0.02), "vae_gan": (-0.02, 0.02, 0.0)}
    planted = {("gaussian", 5): 0.1, ("gaussian", 50): -0.1, ("vae_gan", 5): 0.01, ("vae_gan", 50): np.nan}
    table = [
        {"data": "a", "generator": name, "n": n, "seed": seed, "f1": 0.5 + planted.get((name, n), 0.0) + by}
        for name, its in noise.items()
        for n in (5, 50)
        for seed, by in enumerate(its)
    ]
    table = gains(pd.DataFrame(table))
    found = {(gain.generator, gain.n): gain for gain in table.itertuples()}
    assert {key: gain.verdict for key, gain in found.items()} == {
        ("gaussian", 5): "helps",
        ("gaussian", 50): "hurts",
        ("vae_gan", 5): "not significant",
        ("vae_gan", 50): "diverges",
    }
    assert found["gaussian", 5].difference == pytest.approx(0.1, abs=1e-3)
    assert found["gaussian", 5].mean == pytest.approx(0.6, abs=1e-3)


def test_every_generator_has_words_for_the_figures():
    assert list(LABELS) == list(GENERATORS)


def test_gains_are_corrected_for_all_that_were_tested():
    rng = np.random.default_rng(0)
    alone = {(n, seed): rng.normal(0.5, 0.02) for n in (5, 10, 20, 50) for seed in range(3)}
    table = [{"data": "a", "generator": ALONE, "n": n, "seed": s, "f1": f1} for (n, s), f1 in alone.items()]
    table += [
        {"data": "a", "generator": name, "n": n, "seed": s, "f1": f1 + rng.normal(0, 0.02)}
        for name in ("gaussian", "vae_gan", "classical")
        for (n, s), f1 in alone.items()
    ]
    found = gains(pd.DataFrame(table))
    assert list(found["q"]) == pytest.approx(scipy.stats.false_discovery_control(found["p"]))
    assert any(gain.p < 0.05 <= gain.q and gain.verdict == "not significant" for gain in found.itertuples())


def test_a_wrong_option_is_refused_and_not_taken_for_a_divergence(windows):
    wrong = SECTION | {"n": [5], "generators": {"transformer_gan": {"steps": 3, "loss": "hinges"}}}
    with pytest.raises(InputError, match="loss 'hinges' is not known"):
        utility.rows(windows, "transformer_gan-0", wrong)
