"""Changed colours against torchvision's, image by image."""

import pytest
import torch
from torchvision.transforms import functional

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.transforms import change_colours, draw_factors

N = 12


def random_images(low: int, high: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(low, high, (N, 7, 9, channels), generator=generator, dtype=torch.uint8)


def factors(colour: float = 0.4) -> torch.Tensor:
    return draw_factors(N, colour, torch.Generator().manual_seed(1))


def torchvisions(image: torch.Tensor, brightness: float, contrast: float, saturation: float):
    """Change one image, float ``(C, H, W)`` in [0, 1], step by step."""
    image = functional.adjust_contrast(functional.adjust_brightness(image, brightness), contrast)
    return functional.adjust_saturation(image, saturation)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_torchvisions(channels):
    images = random_images(90, 120, channels)  # nothing is clipped on the way
    changed = change_colours(images, factors())
    assert changed.dtype == torch.float32
    assert changed.is_contiguous()
    for image, factor, result in zip(images, factors(), changed, strict=True):
        # Torchvision's red counts 0.2989, so that its white has a grey of 0.9999.
        expected = torchvisions(image.permute(2, 0, 1) / 255, *factor.tolist())
        torch.testing.assert_close(result.permute(2, 0, 1) / 255, expected, atol=1e-4, rtol=0)


def test_each_factor_changes_what_it_is_named_for():
    images = random_images(60, 100)
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
    changed = change_colours(random_images(0, 256), torch.tensor([[2.0, 2.0, 2.0]]).expand(N, 3))
    assert changed.min() == 0
    assert changed.max() == 255


@pytest.mark.parametrize("colour", [0.1, 1.0])
def test_factors_are_uniform_and_independent(colour):
    drawn = draw_factors(20_000, colour, torch.Generator().manual_seed(0))
    assert 1 - colour <= drawn.min() < 1 - 0.99 * colour
    assert 1 + 0.99 * colour < drawn.max() <= 1 + colour
    assert drawn.mean(0).tolist() == pytest.approx([1, 1, 1], abs=0.02 * colour)
    assert drawn.std(0).tolist() == pytest.approx([colour / 3**0.5] * 3, rel=0.02)
    assert (torch.corrcoef(drawn.mT) - torch.eye(3)).abs().max() < 0.03


def test_colour_comes_before_normalisation_and_cutout_after():
    white = torch.full((N, 9, 9, 3), 255, dtype=torch.uint8)
    normalise = Normalise([1.0] * 3, [0.5] * 3, 9, torch.device("cpu"))
    augmentation = Augmentation(cutout=3, colour=0.5)
    batch = augmentation(white, torch.Generator().manual_seed(0), normalise)
    assert batch.min() >= -1 - 1e-5  # white times 0.5, normalised
    assert batch.max() < 1e-5  # clipped at white, and the squares
    assert len(batch[:, 0, 0, 0].unique()) > 2


def test_no_colour_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = random_images(0, 256)
    normalise = Normalise([0.0] * 3, [1.0] * 3, 9, torch.device("cpu"))
    Augmentation(colour=0.0, area=None)(images, generator, normalise)
    assert torch.equal(generator.get_state(), before)
