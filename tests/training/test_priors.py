"""Priors of z, and the path between two draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meagan_lib.training.priors import PRIORS, latent_path, prior
from tests.training.test_trainer import GAN_CONFIG, gan


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_has_unit_variance_and_a_run_of_its_own(name):
    z = prior(name, 20_000, 4, torch.Generator().manual_seed(0))
    covariance = torch.cov(z.T)
    expected = 0.5 ** (torch.arange(4)[:, None] - torch.arange(4)).abs() if name == "correlated" else torch.eye(4)
    torch.testing.assert_close(covariance, expected.float(), atol=0.03, rtol=0)
    assert (float(z.abs().max()) <= 3**0.5) == (name == "uniform")
    trainers = [gan(replace(GAN_CONFIG, prior=of)) for of in ("gaussian", name)]
    for trainer in trainers:
        trainer.train()
    assert np.array_equal(trainers[0].sample(3), trainers[1].sample(3)) == (name == "gaussian")


@pytest.mark.parametrize("name", PRIORS)
def test_the_way_between_two_draws_begins_and_ends_there_and_stays_in_the_prior(name):
    ends = prior(name, 2, 3000, torch.Generator().manual_seed(0))
    path = latent_path(name, ends, 5)
    torch.testing.assert_close(path[[0, -1]], ends, atol=1e-3, rtol=0)
    if name == "uniform":
        assert path.abs().max() <= 3**0.5
    else:
        assert path.std(dim=1).tolist() == pytest.approx([1] * 5, abs=0.06)
