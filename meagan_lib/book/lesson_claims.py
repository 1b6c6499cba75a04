"""What answers of the lessons claim, as conditions over the arrays of the figures in ``figures/concepts``.

``<!-- holds: NAME -->`` stands behind the sentence, in the Markdown of the lesson, as on a page: see ``claims``.
"""

from collections.abc import Mapping

import numpy as np
from scipy import signal

from meagan_lib.book import conclusions
from meagan_lib.book.claims import claim


def drawn(figure: str) -> Mapping[str, np.ndarray]:
    """Return the arrays that a figure of the lessons shows."""
    with np.load(conclusions.FIGURES / "concepts" / f"{figure}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def at_end(figure: str, label: str, what: str = "covered") -> np.ndarray:
    """Return what each training (trainings,) of a game of c4 has at its end."""
    return drawn(figure)[f"{label}: {what}"][-1]


@claim
def two_hidden_neurons_solve_some() -> bool:
    """Two hidden neurons solve XOR in some trainings, the most hidden neurons in nearly all."""
    solved = drawn("c1_xor")["solved"]
    return bool(0.2 < solved[2] < 0.8 and solved[-1] > 0.95)


@claim
def remembers_its_size() -> bool:
    """As many bits are remembered as a network has state numbers, or one or two fewer."""
    right = drawn("c1_recurrence")
    fewer = [units - (right[f"{units} units"] > 0.95).sum(1) for units in (2, 4, 8)]
    return bool(np.isin(fewer, (0, 1, 2)).all())


@claim
def dropout_keeps_the_mean() -> bool:
    """Within its 95 % interval the mean of sums with dropout is that without."""
    arrays = drawn("c1_dropout")
    half_width = 1.96 * arrays["sums"].std() / len(arrays["sums"]) ** 0.5
    return bool(abs(arrays["sums"].mean() - arrays["without"]) < half_width)


@claim
def both_ways_reach_the_floor() -> bool:
    """Both ways to learn the inverse transform end within a quarter of the distance of draws from the data."""
    arrays = drawn("c2_transform")
    ends = [np.median(arrays[f"distance, {way}"][-50:]) for way in ("direct", "indirect")]
    return bool(max(ends) < 1.25 * arrays["floor"])


@claim
def slope_falls_by_hundreds() -> bool:
    """While D learns, the slope of log(1 − D) falls by a factor of hundreds, that of −log D grows to 1."""
    arrays = drawn("c3_vanishing")
    flat, steep = arrays["minimax, logit"], arrays["non_saturating, logit"]
    return bool(200 < flat[0] / np.median(flat[-50:]) < 1000 and np.median(steep[-50:]) > 0.99)


@claim
def gradient_hundreds_smaller() -> bool:
    """With the original loss the gradient of G's parameters is hundreds of times smaller."""
    arrays = drawn("c3_vanishing")
    ends = [np.median(arrays[f"{loss}, weights"][-50:]) for loss in ("non_saturating", "minimax")]
    return bool(200 < ends[0] / ends[1] < 1000)


@claim
def white_noise_is_recognised() -> bool:
    """For white noise the slope of log(1 − D) falls to about a hundredth within 200 steps."""
    slope = drawn("c3_bridge")["white noise"]
    return bool(50 < slope[0] / slope[199] < 200)


@claim
def gaussian_stays_at_half() -> bool:
    """For draws of the Gaussian D stays near ½."""
    return bool(np.abs(drawn("c3_bridge")["the Gaussian of the windows"] - 0.5).max() < 0.1)


@claim
def non_saturating_collapses() -> bool:
    """Most trainings with the non-saturating loss cover at most one mode at the end, of WGAN-GP with k = 1 all."""
    few = at_end("c4_scores", "non-saturating") <= 1
    return bool(few.mean() > 0.5 and at_end("c4_scores", "WGAN-GP, k = 1").max() <= 1)


@claim
def three_games_cover() -> bool:
    """Minimax, WGAN-GP with k = 5 and the relativistic game cover seven or eight modes."""
    games = ("minimax", "WGAN-GP, k = 5", "relativistic, R1R2")
    return all(at_end("c4_scores", game).min() >= 7 for game in games)


@claim
def loss_hides_collapse() -> bool:
    """With both first losses that of D is near log 4, in trainings that cover all modes and in others."""
    games = ("minimax", "non-saturating")
    covered = np.concatenate([at_end("c4_scores", game) for game in games])
    loss = np.concatenate([at_end("c4_scores", game, "loss of D") for game in games])
    return bool({1, 8} <= set(covered) and np.abs(loss - np.log(4)).max() < 0.2)


@claim
def balance_covers() -> bool:
    """With equal rates, and without momentum, all trainings cover seven or eight modes."""
    return all((at_end("c4_balance", case) >= 7).all() for case in ("equal rates", "no momentum"))


@claim
def momentum_collapses() -> bool:
    """With momentum no training covers more than two modes."""
    return bool(at_end("c4_balance", "momentum 0.9").max() <= 2)


@claim
def rare_clusters_left_out() -> bool:
    """Of the three rarest clusters both games generate less than half of what is due, the relativistic one more."""
    arrays = drawn("c4_bridge")
    few, more = (arrays[game].mean(0)[-3:].sum() for game in ("non-saturating", "relativistic, R1R2"))
    return bool(few < more < arrays["due"][-3:].sum() / 2)


@claim
def only_wasserstein_slopes() -> bool:
    """For lines apart the slope of the critic's loss is about ±1, that of log(1 − D) nearly 0."""
    arrays = drawn("c5_lines")
    apart = np.abs(arrays["theta"]) > 0.2
    critic, flat = (np.abs(arrays[name][apart]) for name in ("slope of −f, critic", "slope of log(1 − D)"))
    return bool(np.abs(critic - 1).max() < 0.1 and flat.max() < 0.1)


@claim
def clipped_slopes_are_arbitrary() -> bool:
    """Clipped critics have slopes of ten-thousandths up to thousands."""
    arrays = drawn("c5_critics")
    sizes = [np.median(np.abs(arrays[f"slope, clip {clip}"])) for clip in (0.01, 0.5)]
    return bool(1e-4 < sizes[0] < 1e-3 and sizes[1] > 1000)


def turning(label: str) -> np.ndarray:
    """Return whether each critic (critics,) of c5 has a slope of both signs between the peaks."""
    arrays = drawn("c5_critics")
    slopes = arrays[f"slope, {label}"][:, np.abs(arrays["x"]) < 1.5]
    return (slopes.min(1) < 0) & (slopes.max(1) > 0)


@claim
def penalised_critics_may_not_turn() -> bool:
    """Of the five critics with the gradient penalty two never turn; with the one-sided penalty all do."""
    return bool((~turning("gradient penalty")).sum() == 2 and turning("one-sided penalty").all())


@claim
def unturned_critics_find_little() -> bool:
    """Critics that never turn find less than a third of the distance."""
    arrays = drawn("c5_critics")
    found = (arrays["slope, gradient penalty"] * arrays["best slope"]).mean(1) / np.abs(arrays["best slope"]).mean()
    return bool(found[~turning("gradient penalty")].max() < 1 / 3)


@claim
def deck_recognises_for_long() -> bool:
    """For fifteen epochs the deck's D is right of nearly all curves, and few of G's are sinusoids."""
    arrays = drawn("c6_training")
    right = arrays["deck's GAN: accuracy"][1:16]
    early = arrays["deck's GAN: quality"][arrays["deck's GAN: epoch"] <= 15]
    return bool(right.min() > 0.9 and early.mean(1).max() < 0.05)


@claim
def accuracy_of_g_tells_nothing() -> bool:
    """While the curves of the deck's G become sinusoids, its accuracy stays near 0."""
    arrays = drawn("c6_training")
    quality = arrays["deck's GAN: quality"].mean(1)
    return bool(np.median(arrays["deck's GAN: accuracy of G"][1:], axis=1).max() < 0.1 and quality[-1] > 0.8)


@claim
def no_positions_no_order() -> bool:
    """Without positions as many onsets are found shuffled as in order, no more than by a guess among five bins."""
    in_order, shuffled = drawn("c8_shuffle")["without positions"]
    return bool(in_order == shuffled < 0.2)


@claim
def rotary_needs_no_clock() -> bool:
    """With rotary positions a late clock changes nothing, with added ones most between 16 and 24 bins."""
    late = drawn("c8_late")
    added = dict(zip(late["first"].tolist(), late["added positions"].tolist()))
    return bool(np.ptp(late["rotary positions"]) == 0 and max(added[16], added[24]) < added[48] < added[0])


@claim
def mask_hides_the_future() -> bool:
    """With the mask no logit before bin 12 changes, by not even a rounding error; without it all do."""
    change = drawn("c8_causal")
    return bool((change["causal mask: change"] > 0).nonzero()[0].min() == 12 and change["no mask: change"].min() > 0)


@claim
def residual_keeps_the_gradient() -> bool:
    """With the addition the gradient is nearly as large after the most blocks as after one."""
    norms = drawn("c8_residual")["with residual connections"][..., 0].mean(1)
    return bool(1 <= norms[0] / norms[-1] < 1.5)


@claim
def tokens_become_the_same() -> bool:
    """Without the addition tokens are nearly equal after two blocks."""
    return bool(drawn("c8_residual")["without"][1, :, 1].min() > 0.98)


@claim
def linear_schedule_wastes_half() -> bool:
    """On the linear schedule less than a tenth of the data's variance is left from the middle on."""
    return bool(drawn("c9_schedule")["linear"][50:].max() < 0.1)


@claim
def ddim_wins_in_few_steps() -> bool:
    """On the linear schedule DDIM is nearer to the data in five and ten steps; in a hundred both are close."""
    arrays = drawn("c9_diffusion")
    ddim, ddpm = (arrays[f"{sampler}, linear"].mean(0) for sampler in ("DDIM", "DDPM"))
    return bool((ddim[1:3] < ddpm[1:3]).all() and abs(ddim[-1] / ddpm[-1] - 1) < 0.2)


@claim
def strong_guidance_loses_shape() -> bool:
    """At the largest weight most of each shape is missing, in every training."""
    coverage = drawn("c9_guidance")["coverage"]
    return bool(coverage[:, -1].max() < 0.5)


@claim
def a_little_guidance_is_free() -> bool:
    """Up to a weight a little above 1 quality rises and all is covered."""
    arrays = drawn("c9_guidance")
    little = (arrays["weights"] > 0) & (arrays["weights"] <= 1.5)
    rises = np.diff(arrays["quality"][:, arrays["weights"] <= 1.5], axis=1)
    return bool((rises > 0).all() and (arrays["coverage"][:, little] == 1).all())


@claim
def labels_are_obeyed() -> bool:
    """All three ways obey about as well as real spikes, the embedding least evenly; a G alone is at chance."""
    arrays = drawn("c10_obedience")
    obeyed = {way: arrays[f"{way}: right unit"] for way in ("concatenation", "embedding", "projection", "G alone")}
    spreads = {way: np.ptp(its) for way, its in obeyed.items()}
    near = all(abs(obeyed[way].mean() - arrays["real"][0]) < 0.05 for way in list(obeyed)[:3])
    return bool(near and max(spreads, key=spreads.get) == "embedding" and abs(obeyed["G alone"].mean() - 0.25) < 0.03)


@claim
def uneven_as_predicted() -> bool:
    """On average a hundred untrained networks have the ratio of the formula, 3 : 2 for kernel 5, 1 for kernel 4."""
    ratios = drawn("c10_checkerboards")
    found = [np.exp(np.log(ratios[f"transposed, kernel {k}: ratio"]).mean()) for k in (5, 4)]
    return bool(len(ratios["transposed, kernel 5: ratio"]) == 100 and np.allclose(found, (1.5, 1), rtol=0.1))


@claim
def peaks_at_strides() -> bool:
    """Untrained transposed convolutions have their peaks above 3 kHz at 5 and 10 kHz."""
    arrays = drawn("c10_checkerboards")
    khz = arrays["frequency_khz"]
    powers = [arrays[f"transposed, kernel {kernel}: untrained"][khz > 3] for kernel in (5, 4)]
    inner = [signal.find_peaks(power, height=2 * np.median(power))[0] for power in powers]
    return all(
        khz[khz > 3][peaks].tolist() == [5.0] and power.argmax() == len(power) - 1
        for power, peaks in zip(powers, inner, strict=True)
    )


@claim
def ripple_stays() -> bool:
    """After training both transposed convolutions have several times the power of real spikes above 5 kHz."""
    arrays = drawn("c10_checkerboards")
    high = arrays["frequency_khz"] > 5
    real = arrays["real"][high].sum()
    return all(arrays[f"transposed, kernel {kernel}: trained"][high].sum() > 3 * real for kernel in (5, 4))


@claim
def two_numbers_are_too_few() -> bool:
    """With two numbers in z the score is worse than in any other case, by every seed."""
    scores = {label: its for label, its in drawn("c11_sweep").items() if label != "reach"}
    few = scores.pop("z of 2 numbers")
    return bool(few.min() > np.max(list(scores.values())))


@claim
def small_steps_small_bias() -> bool:
    """With steps of 0.01 chains are near the floor, with 0.1 above it, with 0.3 far from it."""
    arrays = drawn("c12_langevin")
    off = dict(zip(np.round(arrays["sizes"], 3).tolist(), (arrays["total variation"] / arrays["floor"]).tolist()))
    return bool(off[0.01] < 1.2 and off[0.1] > 1.5 and off[0.3] > 4)


@claim
def half_spikes_have_low_energy() -> bool:
    """At half its depth a spike has mostly less energy than real ones, after each other change mostly more."""
    arrays = drawn("c12_bridge")
    names = {name.partition(":")[0] for name in arrays if ":" in name}
    above = {name: (arrays[f"{name}: changed"][:, None] > arrays[f"{name}: held-out"]).mean() for name in names}
    return bool(above.pop("half as deep") < 0.4 and min(above.values()) > 0.8)
