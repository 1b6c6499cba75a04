"""Distances between the distributions of real and generated windows: as a whole, by shape, by spectrum."""

import numpy as np
import scipy.linalg
import scipy.stats

from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.evaluation.statistics import permutation_p
from meagan_lib.windows.features import Array, autocorrelations, power_spectra, shape_features


def frechet_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """Fréchet distance in the PCA space of the training windows, ‖μ_r − μ_g‖² + Tr(C_r + C_g − 2 (C_r C_g)^½).

    The "FID" of the thesis (1.3.4) for one-dimensional signals. Alone it is worthless: a Gaussian passes it.
    """
    a, b = context.pca.transform(real), context.pca.transform(fake)

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        c_a, c_b = np.cov(a[i], rowvar=False), np.cov(b[j], rowvar=False)
        # Tr (C_r C_g)^½ by the symmetric form: the eigenvalues of C_r^½ C_g C_r^½ are those of C_r C_g.
        root = scipy.linalg.sqrtm(c_a).real
        cross = np.sqrt(np.linalg.eigvalsh(root @ c_b @ root).clip(0)).sum()
        shift = a[i].mean(axis=0) - b[j].mean(axis=0)
        return float(shift @ shift + np.trace(c_a) + np.trace(c_b) - 2 * cross)

    return statistic


def sliced_wasserstein(real: Array, fake: Array, context: Context, n_directions: int = 128) -> Statistic:
    """Sliced Wasserstein-2 distance: √ of the mean over random directions of the squared distance of the quantiles.

    Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3. Both sides need the same number of windows.
    """
    directions = np.random.default_rng(context.seed).standard_normal((real.shape[1], n_directions))
    directions /= np.linalg.norm(directions, axis=0)
    a, b = real @ directions, fake @ directions
    return lambda i, j: float(np.sqrt(np.mean((np.sort(a[i], axis=0) - np.sort(b[j], axis=0)) ** 2)))


def cubic_kernel(a: Array, b: Array) -> Array:
    """(x·y / d + 1)³ of windows (n, d) and (m, d), float64 (n, m). Bińkowski et al. 2018, arXiv:1801.01401."""
    linear = a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1
    return linear * linear * linear  # ** 3 takes ten times as long


def squared_mmd(real: Array, fake: Array, context: Context) -> Statistic:
    """Unbiased squared maximum mean discrepancy with :func:`cubic_kernel`; around 0, also below, where nothing differs.

    Mean k(x, x') − 2 mean k(x, y) + mean k(y, y') over pairs of two windows. Gretton et al. 2012 (JMLR 13), eq. 3.
    """
    rr, gg, rg = cubic_kernel(real, real), cubic_kernel(fake, fake), cubic_kernel(real, fake)

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        n, m = len(i), len(j)
        u, v = (np.bincount(drawn, minlength=len(k)).astype(float) for drawn, k in ((i, rr), (j, gg)))
        within = [(w @ k @ w - w @ k.diagonal()) / (s * (s - 1)) for w, k, s in ((u, rr, n), (v, gg, m))]
        return float(sum(within) - 2 * (u @ rg @ v) / (n * m))

    return statistic


def mmd_permutation_p(real: Array, fake: Array, n_permutations: int = 200, seed: int = 0) -> float:
    """Test :func:`squared_mmd` by random exchanges of the windows (n, samples) of both sides, equal in number: p."""
    n, rng = len(real), np.random.default_rng(seed)
    pooled = np.concatenate([real, fake])
    kernel = cubic_kernel(pooled, pooled)
    np.fill_diagonal(kernel, 0)
    side = np.ones((2 * n, n_permutations + 1))
    side[n:] = -1
    for column in side.T[1:]:
        rng.shuffle(column)
    # With s = ±1 for the sides, Σ s_i s_j k_ij = (pairs within a side) − (pairs across), and their sum never changes.
    signed, total = (side * (kernel @ side)).sum(axis=0), kernel.sum()
    value = (total + signed) / 2 / (n * (n - 1)) - (total - signed) / 2 / n**2
    return permutation_p(value[0], value[1:])


def marginals(real: Array, fake: Array, sampling_rate_hz: float) -> dict[str, tuple[float, float]]:
    """Compare each shape feature: Wasserstein-1 distance over the real standard deviation, and KS distance."""
    a, b = (shape_features(windows, sampling_rate_hz) for windows in (real, fake))
    return {
        name: (
            float(scipy.stats.wasserstein_distance(a[name], b[name])) / _spread(a[name]),
            ks_distance(a[name], b[name]),
        )
        for name in a
    }


def _spread(values: Array) -> float:
    """Return the standard deviation; 1 where all are the same."""
    return float(values.std()) or 1.0


def ks_distance(a: Array, b: Array) -> float:
    """Return the largest gap between the distribution functions of (n,) and (m,): ``ks_2samp`` without its p-value."""
    a, b = np.sort(a), np.sort(b)
    below = (np.searchsorted(values, np.r_[a, b], side="right") / len(values) for values in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def feature_wasserstein(real: Array, fake: Array, context: Context) -> Statistic:
    """Wasserstein-1 distance / σ_real of the shape features, mean over features. Both sides need the same number."""
    a, b = (np.stack(list(shape_features(w, context.sampling_rate_hz).values()), axis=1) for w in (real, fake))
    spread = np.array([_spread(column) for column in a.T])
    return lambda i, j: float(np.mean(np.abs(np.sort(a[i], axis=0) - np.sort(b[j], axis=0)) / spread))


def feature_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of the shape features, that of the worst feature, in [0, 1]."""
    a, b = (shape_features(windows, context.sampling_rate_hz) for windows in (real, fake))
    return lambda i, j: max(ks_distance(a[name][i], b[name][j]) for name in a)


def amplitude_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of the peak-to-peak amplitudes, in [0, 1]."""
    a, b = np.ptp(real, axis=1), np.ptp(fake, axis=1)
    return lambda i, j: ks_distance(a[i], b[j])


def _profile(windows: Array) -> Array:
    """Return mean waveform and standard deviation of windows (n, samples), one after the other: (2 · samples,)."""
    return np.r_[windows.mean(axis=0, dtype=np.float64), windows.std(axis=0, dtype=np.float64)]


def profile_l1(real: Array, fake: Array, context: Context) -> Statistic:
    """Mean |Δ| between mean waveforms and between standard deviations.

    No real window is paired with a generated one, as in :func:`independent_l1`: that rewards a collapse.
    """
    return lambda i, j: float(np.abs(_profile(real[i]) - _profile(fake[j])).mean())


def profile_l2(real: Array, fake: Array, context: Context) -> Statistic:
    """Root of the mean Δ² of the same as :func:`profile_l1`."""
    return lambda i, j: float(np.sqrt(((_profile(real[i]) - _profile(fake[j])) ** 2).mean()))


def independent_l1(real: Array, fake: Array) -> float:
    """L1 of the thesis (1.3.4), E ‖x − y‖₁ over all pairs of windows x (n, samples) and y (m, samples).

    Per sample, with the distribution functions F and G of both sides, E |x − y| = ∫ F (1 − G) + G (1 − F). It is least
    where every y is the median of x, and no measure of likeness: other real windows do worse.
    """
    total = 0.0
    for x, y in zip(np.sort(real.T.astype(np.float64)), np.sort(fake.T.astype(np.float64))):
        at = np.sort(np.r_[x, y])
        f, g = (np.searchsorted(side, at[:-1], side="right") / len(side) for side in (x, y))
        total += np.sum((f * (1 - g) + g * (1 - f)) * np.diff(at))
    return float(total)


def independent_l2(real: Array, fake: Array) -> float:
    """L2 of the thesis (1.3.4), E ‖x − y‖² = tr C_x + tr C_y + ‖μ_x − μ_y‖², over pairs as :func:`independent_l1`.

    It is least where every y is the mean of x.
    """
    sides = real.astype(np.float64), fake.astype(np.float64)
    shift = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    return float(sum(side.var(axis=0).sum() for side in sides) + shift @ shift)


def log_spectral_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """Log-spectral distance √ mean_f (log P_r(f) − log P_g(f))², P the mean power spectrum, natural logarithm."""
    a, b = power_spectra(real), power_spectra(fake)
    return lambda i, j: float(np.sqrt(np.mean((np.log(a[i].mean(axis=0)) - np.log(b[j].mean(axis=0))) ** 2)))


def autocorrelation_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """Root mean square over τ of ρ_r(τ) − ρ_g(τ), ρ the mean autocorrelation over that at lag 0: gain is not seen."""
    a, b = autocorrelations(real), autocorrelations(fake)

    def rho(mean: Array) -> Array:
        return mean[1:] / mean[0]

    return lambda i, j: float(np.sqrt(np.mean((rho(a[i].mean(axis=0)) - rho(b[j].mean(axis=0))) ** 2)))
