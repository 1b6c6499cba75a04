"""Where windows come from, real ones and those of each model: names, colours and markers, the same everywhere.

The palette can be told apart by colour-blind readers (Okabe & Ito 2008; Tol 2021).
"""

from typing import NamedTuple


class Source(NamedTuple):
    """Where windows come from: its name in words, its colour and its marker in every figure."""

    label: str
    colour: str
    marker: str | tuple[int, int]
    """Of matplotlib: a letter, or points and 1, a star."""


SOURCES = {
    "real": Source("real (test)", "#3C3C3C", "D"),
    "reach": Source("reach (train)", "#009E73", "v"),
    "transformer_gan": Source("Transformer-GAN", "#0072B2", "o"),
    "vae_gan": Source("VAE-GAN", "#D55E00", "s"),
    "gaussian": Source("Gaussian", "#CC79A7", "^"),
    "pca_gaussian": Source("Gaussian in PCA space", "#882255", "<"),
    "gmm": Source("Gaussian mixture", "#999933", ">"),
    "bootstrap": Source("training copies + noise", "#DDAA33", "X"),
    "vae": Source("VAE", "#56B4E9", "p"),
    "dcgan": Source("DCGAN, WGAN-GP", "#AA4499", "h"),
    "tts_gan": Source("TTS-GAN", "#8C510A", "*"),
    "flow_matching": Source("flow matching", "#332288", "P"),
    "reflow_1": Source("reflow, one step", "#7A5CE0", (4, 1)),
    "reflow_2": Source("reflow, two steps", "#B59BF2", (6, 1)),
    "plain_transformer_gan": Source("plain Transformer-GAN", "#003B6F", "H"),
    "plain_vae_gan": Source("plain VAE-GAN", "#F0A07A", "d"),
}
COLOURS = {name: source.colour for name, source in SOURCES.items()}
LABELS = {name: source.label for name, source in SOURCES.items()}
