"""Figures of the networks, and of the windows that they generate."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import BLANK, COLOURS, LABELS, SERIES, UNIT_COLOURS, UNITS, WIDTH, Arrays


@drawing
def samples(time_ms: np.ndarray, real: np.ndarray, synthetic: np.ndarray, model: str, unit: str) -> Figure:
    """Overlay windows (n, samples), and draw single ones below: real to the left, generated to the right."""
    fig = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    single = [[f"{i}{j}" for j in range(8)] for i in range(2)]
    axes = fig.subplot_mosaic([["real"] * 4 + ["model"] * 4] * 2 + single, sharex=True, sharey=True)
    for side, windows, name, first in (("real", real, "real", 0), ("model", synthetic, model, 4)):
        axes[side].plot(time_ms, windows.T, color=COLOURS[name], linewidth=0.4, alpha=0.3)
        axes[side].set_title(LABELS[name])
        for i, window in enumerate(windows[:8]):
            axes[f"{i // 4}{first + i % 4}"].plot(time_ms, window, color=COLOURS[name], linewidth=0.9)
    for axis in axes.values():
        axis.label_outer()
        style.set_ticks(axis, 3)
    for side in ("real", "model"):
        axes[side].tick_params("x", labelbottom=True)
    style.label_time_and_voltage(fig, unit)
    return fig


@drawing
def positional_encoding(encoding: np.ndarray) -> Figure:
    """Show the positional encoding (tokens, width), and the cosine between any two of its rows."""
    fig, (axes,) = style.panel_grid(1, 2, 2.4, width_ratios=[2.2, 1])
    rows = encoding / np.linalg.norm(encoding, axis=1, keepdims=True)
    for axis, values, limits, colours, label, x, title in (
        (axes[0], encoding, (-1, 1), "RdBu", "encoding", "dimension of a token", "what is added to each token"),
        (axes[1], rows @ rows.T, (0, 1), "viridis", "cosine", "token", "how alike two positions are"),
    ):
        mesh = axis.imshow(values, colours, aspect="auto", interpolation="nearest", clim=limits)
        fig.colorbar(mesh, ax=axis, label=label, ticks=np.linspace(*limits, 3), shrink=0.9)
        style.panel_title(axis, title)
        axis.set(xlabel=x, ylabel="token")
        style.set_ticks(axis, 4, 4, integer=True)
        axis.spines[:].set_visible(False)
    return fig


@drawing
def attention(maps: np.ndarray, time_ms: np.ndarray, window: np.ndarray, window_time_ms: np.ndarray) -> Figure:
    """Show the attention of each head (columns) in each block (rows), a mean window above each column.

    Row i of ``maps`` (blocks, heads, tokens, tokens), a mean over samples, holds the weights of what token i attends
    to. ``time_ms`` (tokens,): the middle of the patch that each token becomes, from the trough; patches follow one
    another. ``window``, ``window_time_ms`` (samples,).
    """
    blocks, heads, tokens, _ = maps.shape
    step = (time_ms[-1] - time_ms[0]) / (tokens - 1) if tokens > 1 else np.ptp(window_time_ms) or 1.0
    low, high = time_ms[0] - step / 2, time_ms[-1] + step / 2
    shared = dict(sharex=True, sharey="row", height_ratios=[0.45] + [1] * blocks)
    fig, axes = style.panel_grid(1 + blocks, heads, 0.8 + 1.3 * max(blocks, 2), **shared)
    image = dict(extent=(low, high, high, low), vmin=0, vmax=maps.max(), cmap="viridis")
    for h in range(heads):
        above = axes[0, h]
        above.plot(window_time_ms, window, color=COLOURS["real"])
        style.panel_title(above, f"head {h + 1}", loc="center")
        above.set_yticks([])
        above.tick_params("x", length=0)
        for b in range(blocks):
            axis = axes[1 + b, h]
            mesh = axis.imshow(maps[b, h], aspect="auto", interpolation="nearest", **image)
            axis.axvline(0, color="white", linewidth=0.6, alpha=0.6)
            axis.axhline(0, color="white", linewidth=0.6, alpha=0.6)
            style.set_ticks(axis, 3, 3, steps=[1, 2, 5, 10])
            axis.tick_params(left=h == 0, bottom=b == blocks - 1)
    for b in range(blocks):
        axes[1 + b, 0].set_ylabel(f"block {b + 1}")
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
    axes[0, 0].set_xlim(low, high)
    key = dict(shrink=0.7, aspect=30, pad=0.015, ticks=mpl.ticker.MaxNLocator(4))
    fig.colorbar(mesh, ax=axes[1:], label=f"weight (even: {1 / tokens:.2g})", **key)
    fig.supxlabel("patch that is attended to: time from trough (ms)")
    fig.supylabel("patch that attends: time from trough (ms)")
    return fig


@drawing
def interpolation(time_ms: np.ndarray, windows: np.ndarray, unit: str, model: str) -> Figure:
    """Draw windows (steps, samples) on the way from one z to another, light to dark; the first one again in grey."""
    steps = len(windows)
    fig, (axes,) = style.panel_grid(1, steps, 1.8, sharex=True, sharey=True)
    for i, (axis, colour) in enumerate(zip(axes, style.ramp(model, steps))):
        if i:
            axis.plot(time_ms, windows[0], color="0.75", linewidth=0.9)
            style.set_rows(axis)
        axis.plot(time_ms, windows[i], color=colour, linewidth=1.3)
        style.panel_title(axis, f"{100 * i / max(steps - 1, 1):.0f} %")
        style.set_ticks(axis, 2, 4, steps=[1, 2, 5, 10])
    style.label_time_and_voltage(fig, unit)
    return fig


@drawing
def snapshots(time_ms: np.ndarray, steps: np.ndarray, windows: np.ndarray, unit: str, model: str) -> Figure:
    """Show what the same z become over training: windows (frames, n_z, samples) at ``steps`` (frames,), in 8 panels.

    Each z keeps its shade in all panels.
    """
    shown = np.unique(np.linspace(0, len(steps) - 1, 8).round().astype(int))
    fig, axes = style.source_panels(len(shown), unit)
    for axis, i in zip(axes, shown):
        axis.set_prop_cycle(color=style.ramp(model, windows.shape[1]))
        axis.plot(time_ms, windows[i].T, linewidth=1.1)
        style.panel_title(axis, f"step {steps[i]}")
    return fig


@drawing
def snapshots_animation(time_ms: np.ndarray, steps: np.ndarray, windows: np.ndarray, unit: str, model: str) -> bytes:
    """Make a GIF of :func:`snapshots`: every frame in its turn, the first in grey behind it; the last stands longer."""
    fig, ((axis,),) = style.panel_grid(1, 1, 3.0)
    axis.plot(time_ms, windows[0].T, color="0.85", linewidth=1)
    axis.set_prop_cycle(color=style.ramp(model, windows.shape[1]))
    lines = axis.plot(time_ms, windows[0].T, linewidth=1.3)
    low, high = windows.min(), windows.max()
    room = 0.05 * (high - low)
    axis.set(xlabel="time from trough (ms)", ylabel=style.voltage_label(unit), ylim=(low - room, high + room))
    axis.set_title("step 0", fontweight="normal")
    canvas, pictures = style.moving_canvas(fig), []
    for step, at_step in zip(steps, windows):
        for line, window in zip(lines, at_step):
            line.set_ydata(window)
        axis.set_title(f"step {step}", fontweight="normal")
        pictures.append(style.picture(canvas))
    return style.gif(pictures, [len(pictures) - 1], [*[160] * (len(pictures) - 1), 1600])


@drawing
def latent_usage(kl: Arrays, active: Mapping[str, int]) -> Figure:
    """Draw the KL (latent,) of each latent number in nats, from most to least, for each moment of the training.

    ``active``: moment → how many latent numbers carry something of the window. Less than 0.001 nats lies on the axis.
    """
    least = 1e-3
    fig, ((axis,),) = style.panel_grid(1, 1, 2.6)
    shades = [style.ramp("vae_gan", 3)[0], COLOURS["vae_gan"]]
    for (moment, values), colour, linewidth in zip(kl.items(), shades, (2.2, 1.4)):
        shown = np.sort(np.maximum(values, least))[::-1]
        line = dict(drawstyle="steps-mid", marker="o" if len(shown) <= 16 else None, markersize=4, clip_on=False)
        line |= dict(color=colour, linewidth=linewidth, label=f"{moment}: {active[moment]} of {len(shown)} active")
        axis.plot(np.arange(1, len(shown) + 1), shown, zorder=3, **line)
    axis.set(xlabel="latent number, from most to least used", xlim=(0.5, max(map(len, kl.values())) + 0.5))
    axis.set(ylabel="KL from the prior (nats)", yscale="log", ylim=(least, None))
    style.set_ticks(axis, 8, integer=True, min_n_ticks=1)
    axis.yaxis.set_major_formatter(lambda y, _: f"≤ {y:g}" if y <= least else f"{y:g}")
    fig.legend(loc="outside upper right", ncols=2)
    return fig


@drawing
def latent_space(
    before: np.ndarray, after: np.ndarray, amplitude: np.ndarray, labels: np.ndarray | None, unit: str
) -> Figure:
    """Show where the encoder puts windows before and after stage 2, coloured by amplitude and by unit.

    ``before``, ``after`` (n, 2): the first two principal components of μ, each of its own; later windows are drawn over
    earlier ones. ``amplitude`` (n,), in ``unit``: colours leave out the hundredth at either end. ``labels`` (n,): unit
    of each window, −1 where it is not known; None leaves the second column out. The eight units with most windows have
    colours.
    """
    n, both = len(before), labels is not None
    fig, axes = style.panel_grid(3, 1 + both, 5.8, height_ratios=[1, 1, 0.05])
    fig.set_figwidth(WIDTH if both else 0.55 * WIDTH)
    low, high = np.quantile(amplitude, [0.01, 0.99]) if n else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    norm = mpl.colors.Normalize(low, high)
    dots = dict(s=4 if n > 1000 else 9, linewidths=0, rasterized=True)
    if both:
        units, counts = np.unique(labels[labels >= 0], return_counts=True)
        most = np.argsort(-counts, kind="stable")[: len(UNIT_COLOURS)]
        named, colours = np.isin(labels, units[most]), dict(zip(units[most], UNIT_COLOURS))
    for row, (moment, places) in zip(axes, (("before", before), ("after", after))):
        row[0].scatter(*places.T, c=amplitude, cmap="viridis", norm=norm, alpha=0.6, **dots)
        style.panel_title(row[0], f"{moment} stage 2, by amplitude")
        if both:
            row[1].scatter(*places[~named].T, color=BLANK, **dots)
            row[1].scatter(*places[named].T, color=[colours[label] for label in labels[named]], alpha=0.7, **dots)
            style.panel_title(row[1], f"{moment} stage 2, by unit")
        row[0].set_ylabel("component 2 of $\\mu$")
        for axis in row:
            axis.set_aspect("equal", adjustable="datalim")
            style.set_ticks(axis, 5, 5, integer=True)
    for axis in axes[1]:
        axis.set_xlabel("component 1 of $\\mu$")
    fig.align_ylabels(axes[:2, 0])
    key = dict(orientation="horizontal", extend="both" if n > 1 else "neither", ticks=mpl.ticker.MaxNLocator(5))
    fig.colorbar(mpl.cm.ScalarMappable(norm, "viridis"), cax=axes[2, 0], label=f"amplitude ({UNITS[unit]})", **key)
    if both:
        axes[2, 1].axis("off")
        entries = [(f"{u}  ({c})", colours[u]) for u, c in zip(units[most], counts[most])]
        if rest := int((~named).sum()):
            grey = ["others"] * (len(units) > len(most)) + ["unknown"] * bool((labels < 0).any())
            entries.append((f"{', '.join(grey)}  ({rest})", BLANK))
        handles = [style.dot(name, colour, markersize=4) for name, colour in entries]
        title = dict(title="unit  (windows)", title_fontsize=7, alignment="left")
        place = dict(loc="upper center", bbox_to_anchor=(0.5, 1.6), ncols=3, handletextpad=0.2, columnspacing=1.4)
        axes[2, 1].legend(handles=handles, **title, **place)
    return fig


@drawing
def traversals(time_ms: np.ndarray, windows: np.ndarray, values: np.ndarray, names: Sequence[str], unit: str) -> Figure:
    """Show what a latent number does: windows (k, steps, samples) as it takes ``values`` (steps,), light to dark.

    A panel for each of the ``names`` (k,); all other latent numbers are 0.
    """
    fig, axes = style.source_panels(len(windows), unit)
    shades = style.ramp("vae_gan", len(values))
    for axis, name, steps in zip(axes, names, windows):
        axis.set_prop_cycle(color=shades)
        axis.plot(time_ms, steps.T, linewidth=1.1)
        style.panel_title(axis, name.replace(": ", ":\n"), fontsize=7.5)
    key = mpl.cm.ScalarMappable(mpl.colors.Normalize(-0.5, len(values) - 0.5), mpl.colors.ListedColormap(shades))
    ticks = np.unique(np.linspace(0, len(values) - 1, min(len(values), 9)).round().astype(int))
    label = "value of the latent number\n(SD of the prior)"
    bar = fig.colorbar(key, ax=list(axes), label=label, shrink=0.9, aspect=25, pad=0.015, ticks=ticks)
    bar.ax.set_yticklabels([f"{values[i]:.2g}".replace("-", "−") for i in ticks])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    return fig


@drawing
def reconstructions(
    time_ms: np.ndarray, real: np.ndarray, reconstructed: np.ndarray, noise: float | None, unit: str
) -> Figure:
    """Draw the first four windows (n, samples) and their reconstructions above, what is left of them below.

    With ``noise``, the standard deviation of the noise before any model, a band of ± as much lies behind the rest.
    """
    model = "vae_gan"
    fig, axes = style.panel_grid(2, min(4, len(real)), 3.2, sharex=True, sharey="row", height_ratios=[1.5, 1])
    for (above, below), x, again in zip(axes.T, real, reconstructed):
        above.plot(time_ms, x, color=COLOURS["real"], linewidth=1.0, label=LABELS["real"])
        above.plot(time_ms, again, color=COLOURS[model], linewidth=1.3, label=f"{LABELS[model]}, reconstruction")
        below.axhline(0, color="0.6", linewidth=0.6, zorder=1)
        below.plot(time_ms, x - again, color=SERIES[2][0], linewidth=1.2, label="residual: real − reconstruction")
        if noise is not None:
            below.axhspan(-noise, noise, color=BLANK, linewidth=0, zorder=0, label="± noise (SD)")
        for axis in (above, below):
            style.set_ticks(axis, 3, 4, steps=[1, 2, 5, 10])
    axes[0, 0].set_ylabel(style.voltage_label(unit))
    axes[1, 0].set_ylabel(f"residual ({UNITS[unit]})")
    fig.align_ylabels(axes[:, 0])
    handles = [handle for axis in axes[:, 0] for handle in axis.get_legend_handles_labels()[0]]
    fig.legend(handles=handles, loc="outside upper right", ncols=4)
    fig.supxlabel("time from trough (ms)")
    return fig
