"""Changes of colours against torchvision, image by image."""

import pytest
import torch
from torchvision.transforms import functional

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.transforms import change_colours, draw_factors

N = 12


def make_images(low: int, high: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(low, high, (N, 7, 9, channels), generator=generator, dtype=torch.uint8)


def make_factors(colour: float = 0.4) -> torch.Tensor:
    return draw_factors(N, colour, torch.Generator().manual_seed(1))


def change_with_torchvision(
    image: torch.Tensor, brightness: float, contrast: float, saturation: float
):
    """Change one image, float ``(C, H, W)`` in [0, 1], step by step."""
    image = functional.adjust_contrast(functional.adjust_brightness(image, brightness), contrast)
    return functional.adjust_saturation(image, saturation)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_equal_torchvision(channels):
    images = make_images(90, 120, channels)  # no intermediate value is clipped
    changed = change_colours(images, make_factors())
    assert changed.dtype == torch.float32
    assert changed.is_contiguous()
    for image, factor, result in zip(images, make_factors(), changed, strict=True):
        # The weight of red is 0.2989 in torchvision, so that the grey of white is 0.9999.
        expected = change_with_torchvision(image.permute(2, 0, 1) / 255, *factor.tolist())
        torch.testing.assert_close(result.permute(2, 0, 1) / 255, expected, atol=1e-4, rtol=0)


def test_each_factor_changes_its_own_property():
    images = make_images(60, 100)
    grey = torch.tensor([0.299, 0.587, 0.114])

    def change(*factor: float) -> torch.Tensor:
        return change_colours(images, torch.tensor([factor]).expand(N, 3))

    torch.testing.assert_close(change(1, 1, 1), images.float())
    torch.testing.assert_close(change(1.5, 1, 1), images.float() * 1.5)
    flat = change(1, 0, 1)
    assert (flat - flat.mean((1, 2, 3), keepdim=True)).abs().max() < 1e-3
    torch.testing.assert_close((flat[:, 0, 0] @ grey), (images.float() @ grey).mean((1, 2)))
    torch.testing.assert_close(
        change(1, 1, 0), (images.float() @ grey)[..., None].expand(-1, -1, -1, 3)
    )


def test_results_are_clipped():
    changed = change_colours(make_images(0, 256), torch.tensor([[2.0, 2.0, 2.0]]).expand(N, 3))
    assert changed.min() == 0
    assert changed.max() == 255


@pytest.mark.parametrize("colour", [0.1, 1.0])
def test_factors_are_uniform_and_independent(colour):
    factors_N3 = draw_factors(20_000, colour, torch.Generator().manual_seed(0))
    assert 1 - colour <= factors_N3.min() < 1 - 0.99 * colour
    assert 1 + 0.99 * colour < factors_N3.max() <= 1 + colour
    assert factors_N3.mean(0).tolist() == pytest.approx([1, 1, 1], abs=0.02 * colour)
    assert factors_N3.std(0).tolist() == pytest.approx([colour / 3**0.5] * 3, rel=0.02)
    assert (torch.corrcoef(factors_N3.mT) - torch.eye(3)).abs().max() < 0.03


def test_colour_comes_before_normalisation_and_cutout_after():
    white = torch.full((N, 9, 9, 3), 255, dtype=torch.uint8)
    normalise = Normalise([1.0] * 3, [0.5] * 3, 9, torch.device("cpu"))
    augmentation = Augmentation(cutout=3, colour=0.5)
    batch = augmentation(white, torch.Generator().manual_seed(0), normalise)
    assert batch.min() >= -1 - 1e-5  # white times 0.5, normalised
    assert batch.max() < 1e-5  # clipped at white, and the squares
    assert len(batch[:, 0, 0, 0].unique()) > 2


def test_without_colour_no_random_number_is_drawn():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = make_images(0, 256)
    normalise = Normalise([0.0] * 3, [1.0] * 3, 9, torch.device("cpu"))
    Augmentation(colour=0.0, area=None)(images, generator, normalise)
    assert torch.equal(generator.get_state(), before)
