"""Networks of images with masks: a painter that sees its background, a decoder of z alone, and what judges either.

Both generators upsample linearly and convolve: transposed convolutions leave a checkerboard (Odena et al. 2016,
doi.org/10.23915/distill.00003), and what repeats pixels leaves blocks.
"""

import torch
from torch import Tensor, nn

from meagan_lib import InputError

SLOPE = 0.2
"""Of every leaky rectifier."""
DIRECTIONS = 16
"""Of crops, along which a decoder varies before it is trained: exposure, and coarse light and shade."""


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Make a 3 × 3 convolution and a leaky rectifier."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(SLOPE))


def require_size(size: int) -> None:
    """Refuse crops whose side cannot be halved three times."""
    if size % 8 or size < 16:
        raise InputError(f"crops of {size} pixels cannot be halved three times: cut them 16, 48 or 64 pixels wide")


def soft_mask(mask: Tensor, margin: int) -> Tensor:
    """Soften masks (batch, 1, size, size): 1 within, falling to 0 at ``margin`` pixels from the mask (Chebyshev)."""
    grown, fade = margin - margin // 2, margin // 2
    mask = (box((mask > 0.5).to(mask.dtype), grown) > 0).to(mask.dtype)
    return box(box(mask, fade // 2), fade - fade // 2)


def box(x: Tensor, reach: int) -> Tensor:
    """Average x (batch, channels, size, size) over the pixels at most ``reach`` away, of those within the crop."""
    return nn.functional.avg_pool2d(x, 2 * reach + 1, 1, reach, count_include_pad=False) if reach else x


def doubled(x: Tensor) -> Tensor:
    """Double the side of x (batch, channels, side, side), linearly between pixels."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class PainterNetwork(nn.Module):
    """U-Net (Ronneberger et al. 2015): background, mask and noise → the background with a defect where the mask is.

    It gives three smooth maps: how much darker a pixel becomes, how much of the background's grain is left there, and
    how much white noise is added. So no stripes or checkerboards can arise, which a discriminator of few crops is slow
    to see. Grain is never amplified, and noise is faint: where they could be, defects came out as speckle.

    ``z`` (batch, size²) is a map of white noise as large as the crop. Each level of the decoder sees it at its own
    resolution, summed over blocks and scaled to variance 1, and its 4 × 4 sums also say which kind of defect it is.
    """

    def __init__(self, size: int, width: int = 16, margin: int = 6):
        require_size(size)
        super().__init__()
        self.size, self.margin, self.latent = size, margin, size * size
        w = width
        self.encode = nn.ModuleList(
            [convolution(12, 2 * w), convolution(2 * w, 3 * w, 2), convolution(3 * w, 4 * w, 2)]
        )
        self.style = nn.Sequential(nn.Linear(16, 4 * w), nn.LeakyReLU(SLOPE), nn.Linear(4 * w, 4 * w))
        self.decode = nn.ModuleList(
            [
                convolution(4 * w + 1, 4 * w),
                convolution(4 * w + 3 * w + 1, 3 * w),
                convolution(3 * w + 2 * w + 1, w),
                convolution(w + 4, w // 2),
            ]
        )
        self.head = nn.Conv2d(w // 2, 3, 3, 1, 1)
        binomial = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("blur", torch.outer(binomial, binomial)[None, None], persistent=False)

    def noise(self, z: Tensor, side: int) -> Tensor:
        """Sum z (batch, 1, size, size) over blocks to (batch, 1, side, side), with variance 1."""
        block = self.size // side
        return nn.functional.avg_pool2d(z, block) * block if block > 1 else z

    def forward(self, z: Tensor, background: Tensor, mask: Tensor) -> Tensor:
        """Noise (batch, size²), backgrounds and masks (batch, 1, size, size) → painted (batch, 1, size, size)."""
        z = z.view(-1, 1, self.size, self.size)
        soft = soft_mask(mask, self.margin)
        seen = torch.cat([background, mask, soft], dim=1)
        h, levels = nn.functional.pixel_unshuffle(seen, 2), []
        for layer in self.encode:
            h = layer(h)
            levels.append(h)
        side = self.size // 8
        h = levels.pop() + self.style(self.noise(z, 4).flatten(1))[:, :, None, None]
        h = self.decode[0](torch.cat([h, self.noise(z, side)], dim=1))
        for layer in self.decode[1:3]:
            side *= 2
            h = doubled(h)
            h = layer(torch.cat([h, levels.pop(), self.noise(z, side)], dim=1))
        shade, grain, noise = self.head(self.decode[3](torch.cat([doubled(h), seen, z], dim=1))).split(1, dim=1)
        shade = nn.functional.conv2d(nn.functional.pad(shade, (1, 1, 1, 1), mode="replicate"), self.blur)
        detail = background - box(box(background, 2), 2)
        left, added = torch.sigmoid(box(grain, 1) + 3), 0.1 * torch.sigmoid(box(noise, 1) - 2)
        change = shade + (left - 1) * detail + added * z
        return background + soft * change


class DecoderNetwork(nn.Module):
    """z (batch, latent) → image and mask (batch, 2 · size²), like a DCGAN (Radford et al. 2016, arXiv:1511.06434).

    Its convolutions add to x̄ + W z, a draw from the Gaussian of ``crops`` (n, 2 · size²) in its largest
    :data:`DIRECTIONS`; untrained it is that Gaussian, as :class:`~meagan_lib.models.generators.WindowGenerator` is.
    """

    def __init__(self, crops: Tensor, size: int, width: int = 16, latent: int = 64):
        require_size(size)
        super().__init__()
        self.size, self.latent, w = size, latent, width
        mean = crops.mean(dim=0)
        _, scale, directions = torch.linalg.svd(crops - mean, full_matrices=False)
        colouring = torch.zeros(crops.shape[1], latent)
        k = min(DIRECTIONS, latent, len(scale))
        colouring[:, :k] = directions[:k].T * scale[:k] / max(len(crops) - 1, 1) ** 0.5
        self.register_buffer("mean", mean)
        self.register_buffer("colouring", colouring)
        start = nn.Linear(latent, 4 * w * (size // 8) ** 2), nn.Unflatten(1, (4 * w, size // 8, size // 8))
        self.start = nn.Sequential(*start, nn.LeakyReLU(SLOPE))
        self.layers = nn.ModuleList([convolution(4 * w, 4 * w), convolution(4 * w, 3 * w), convolution(3 * w, 2 * w)])
        self.last = convolution(2 * w, w)
        self.head = nn.Conv2d(w, 2, 3, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, z: Tensor) -> Tensor:
        """(batch, latent) → (batch, 2 · size²); above a half is mask."""
        h = self.start(z)
        for layer in self.layers:
            h = doubled(layer(h))
        return self.mean + z @ self.colouring.T + self.head(self.last(h)).flatten(1)


class ImageDiscriminator(nn.Module):
    """Image and mask together → logit: the mean over patches near the mask, so that it sees defects, not places.

    Before it looks, image and mask are mirrored, moved by whole pixels and made brighter or of more contrast at random,
    differentiably: of few crops it would learn each by heart (Zhao et al. 2020, arXiv:2006.10738). ``ring``: beyond a
    random distance from the mask, from the first to the second, it sees nothing; 0, 0: it sees the whole crop.
    """

    def __init__(self, size: int, width: int = 24, ring: tuple[int, int] = (8, 20)):
        require_size(size)
        super().__init__()
        self.size, self.ring, w = size, ring, width
        self.layers = nn.Sequential(
            convolution(9, w), convolution(w, 2 * w, 2), convolution(2 * w, 3 * w, 2), convolution(3 * w, 3 * w)
        )
        self.head = nn.Conv2d(3 * w, 1, 1)

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        """(batch, 2 · size²) → (batch,); a ``condition`` is in what it sees."""
        image, mask = x.view(-1, 2, self.size, self.size).split(1, dim=1)
        image, mask = augment(image, mask)
        window = self.window(nn.functional.max_pool2d(mask.detach(), 2))
        seen = nn.functional.pixel_unshuffle(torch.cat([image, mask], dim=1), 2)
        patches = self.head(self.layers(torch.cat([seen * window, window], dim=1)))
        weight = nn.functional.avg_pool2d(window, 4)
        return (patches * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=0.1)

    def window(self, mask: Tensor) -> Tensor:
        """Draw what is seen of each crop, from 0 to 1, of masks at half the resolution."""
        if not self.ring[1]:
            return torch.ones_like(mask)
        reach = int(torch.randint(self.ring[0], self.ring[1] + 1, ()))
        return soft_mask(mask, reach // 2)


def augment(image: Tensor, mask: Tensor, shift: int = 4, light: float = 0.3) -> tuple[Tensor, Tensor]:
    """Mirror, shift and re-expose each image with its mask, (batch, 1, size, size); gradients of any order pass."""
    both = torch.cat([image, mask], dim=1)
    for axis in (2, 3):
        both = torch.where((torch.rand(len(both)) < 0.5)[:, None, None, None], both.flip(axis), both)
    size = both.shape[2]
    padded = nn.functional.pad(both, (shift,) * 4, mode="reflect")
    at = torch.randint(2 * shift + 1, (len(both), 2)).tolist()
    both = torch.stack([p[:, i : i + size, j : j + size] for p, (i, j) in zip(padded, at)])
    image, mask = both.split(1, dim=1)
    more, hard = (torch.rand(2, len(both), 1, 1, 1) * 2 - 1) * light
    return image * hard.exp() + more, mask
