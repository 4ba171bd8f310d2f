"""Statistics of channels and normalisation."""

import pytest
import torch

from lightning_nas.data.images import Normalise, measure_channels

CPU = torch.device("cpu")


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(600, 6, 5, 3, generator=generator) * torch.tensor([10.0, 20, 40])
    return (pixels + torch.tensor([60.0, 120, 130])).clamp(0, 255).to(torch.uint8)


def test_statistics_are_measured_on_the_given_indices(images):
    indices = torch.arange(0, 600, 2)  # more than one block of 256 images
    mean, std = measure_channels(images, indices)
    pixels = images[indices].double() / 255
    assert mean == pytest.approx(pixels.mean((0, 1, 2)).tolist(), abs=1e-12)
    assert std == pytest.approx(pixels.std((0, 1, 2), correction=0).tolist(), abs=1e-12)


def test_normalised_channels_have_mean_0_and_deviation_1(images):
    mean, std = measure_channels(images, torch.arange(600))
    normalised = Normalise(mean, std, width=5, device=CPU)(images)
    assert normalised.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert normalised.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_normalisation_equals_the_formula(images):
    normalised = Normalise([0.1, 0.2, 0.3], [0.5, 0.6, 0.7], width=5, device=CPU)(images)
    for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 0.6), (0.3, 0.7)]):
        expected = (images[..., channel].double() / 255 - mean) / std
        torch.testing.assert_close(normalised[:, channel].double(), expected, rtol=0, atol=1e-6)
    assert normalised.is_contiguous(memory_format=torch.channels_last)


def test_a_constant_channel_has_a_deviation_above_zero():
    blank = torch.full((3, 2, 2, 1), 7, dtype=torch.uint8)
    mean, std = measure_channels(blank, torch.arange(3))
    assert Normalise(mean, std, 2, CPU)(blank).abs().max() < 1e-5


@pytest.mark.parametrize(("side", "start"), [(4, 2), (5, 1), (8, 0)])
def test_larger_images_are_cropped_to_their_centre(side, start):
    images = torch.arange(2 * 8 * 8 * 3).remainder(256).to(torch.uint8).view(2, 8, 8, 3)
    normalised = Normalise([0, 0, 0], [1 / 255] * 3, side, CPU)(images)
    expected = images[:, start : start + side, start : start + side].permute(0, 3, 1, 2)
    torch.testing.assert_close(normalised, expected.float())
    assert normalised.is_contiguous(memory_format=torch.channels_last)


def test_floats_and_bytes_are_normalised_alike(images):
    normalise = Normalise([0.1, 0.2, 0.3], [0.5, 0.6, 0.7], width=5, device=CPU)
    assert torch.equal(normalise(images.float()), normalise(images))
