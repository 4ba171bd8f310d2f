"""Random resized crops against PIL, box by box, and against the formula of the mapping."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.transforms import (
    RATIO,
    TRIES,
    draw_boxes,
    mirror_boxes,
    resize_boxes,
)

S, SIDE = 40, 28


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make_identity(side: int = SIDE, channels: int = 3) -> Normalise:
    return Normalise([0.0] * channels, [1.0] * channels, side, torch.device("cpu"))


def make_smooth_images(number: int, side: int = S) -> torch.Tensor:
    """Return smooth colour images, on which filters against aliasing change little."""
    coarse = np.random.default_rng(0).integers(0, 256, (number, 5, 5, 3), dtype=np.uint8)
    images = [
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
        for image in coarse
    ]
    return torch.from_numpy(np.stack(images))


def test_resized_boxes_equal_pil_approximately(generator):
    images = make_smooth_images(30)
    corners, sides = draw_boxes(30, (0.08, 1.0), generator)
    resized = resize_boxes(images, corners, sides, SIDE)
    for image, corner, extent, result in zip(images, corners, sides, resized, strict=True):
        box = torch.cat([corner, corner + extent]).mul(S).clamp(0, S).tolist()
        expected = Image.fromarray(image.numpy()).resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR, box=tuple(box)
        )
        difference = (result - torch.from_numpy(np.array(expected))).abs()
        assert difference.mean() < 1
        assert difference.max() < 6


def test_enlarged_boxes_equal_pil_up_to_rounding(generator):
    images = torch.randint(256, (20, S, S, 3), dtype=torch.uint8, generator=generator)
    corners, sides = draw_boxes(20, (0.1, 0.3), generator)  # at most 0.64 * 40 of 28 pixels
    resized = resize_boxes(images, corners, sides, SIDE)
    for image, corner, extent, result in zip(images, corners, sides, resized, strict=True):
        box = torch.cat([corner, corner + extent]).mul(S).tolist()
        expected = Image.fromarray(image.numpy()).resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR, box=tuple(box)
        )
        assert (result - torch.from_numpy(np.array(expected))).abs().max() < 1.5


def test_position_of_each_pixel_equals_the_formula(generator):
    row, column = torch.meshgrid(torch.arange(S), torch.arange(S), indexing="ij")
    image = torch.stack([row, column, row + column], dim=2).float()
    corners, sides = draw_boxes(50, (0.08, 1.0), generator)
    resized = resize_boxes(image.expand(50, -1, -1, -1), corners, sides, SIDE)
    for n in range(50):
        (left, top), (width, height) = corners[n].tolist(), sides[n].tolist()
        for i in (0, 1, 13, SIDE - 1):
            for j in (0, 7, SIDE - 1):
                y = min(max(S * (top + height * (i + 0.5) / SIDE) - 0.5, 0), S - 1)
                x = min(max(S * (left + width * (j + 0.5) / SIDE) - 0.5, 0), S - 1)
                assert resized[n, i, j].tolist() == pytest.approx([y, x, x + y], abs=1e-3)


def test_the_whole_image_at_its_own_side_is_unchanged():
    images = make_smooth_images(4)
    corners, sides = torch.zeros(4, 2), torch.ones(4, 2)
    torch.testing.assert_close(
        resize_boxes(images, corners, sides, S), images.float(), atol=1e-3, rtol=0
    )


def test_mirrored_boxes_are_the_mirrored_images(generator):
    images = make_smooth_images(30)
    corners, sides = draw_boxes(30, (0.08, 1.0), generator)
    chosen = torch.randint(2, (30,), generator=generator).bool()
    plain = resize_boxes(images, corners, sides, SIDE)
    mirrored = resize_boxes(images, *mirror_boxes(corners, sides, chosen), SIDE)
    expected = torch.where(chosen[:, None, None, None], plain.flip(2), plain)
    torch.testing.assert_close(mirrored, expected, atol=1e-2, rtol=0)


def test_half_of_the_boxes_are_mirrored(generator):
    ramp = torch.arange(S, dtype=torch.uint8).view(1, 1, S, 1).expand(4000, S, S, 1)
    batch = Augmentation(flip=True, area=[0.08, 1.0])(ramp, generator, make_identity(channels=1))
    descending = batch[:, 0, 0, 0] > batch[:, 0, 0, -1]
    assert descending.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_boxes_have_the_areas_and_ratios_asked_for_and_lie_within(generator):
    corners, sides = draw_boxes(20_000, (0.1, 0.5), generator)
    assert corners.min() >= 0
    assert (corners + sides).max() <= 1 + 1e-6
    area, ratio = sides.prod(1), (sides[:, 0] / sides[:, 1]).log()
    assert 0.1 - 1e-6 <= area.min() < 0.101
    assert 0.499 < area.max() <= 0.5 + 1e-6
    assert area.mean().item() == pytest.approx(0.3, abs=0.005)  # uniform, and all of them fit
    assert ratio.abs().max() <= math.log(RATIO) + 1e-6
    assert ratio.mean().abs() < 0.005
    assert ratio.std().item() == pytest.approx(math.log(RATIO) / math.sqrt(3), abs=0.005)
    places = corners / (1 - sides)
    assert places.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    assert abs(torch.corrcoef(torch.stack([places[:, 0], places[:, 1]]))[0, 1]) < 0.03


def test_boxes_have_the_distribution_of_torchvision(generator):
    _, sides = draw_boxes(4_000, (0.08, 1.0), generator)
    image = torch.empty(3, 1000, 1000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = [
            RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])[2:]
            for _ in range(4_000)
        ]
    expected = torch.tensor(reference).flip(1) / 1000
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        for left, right in ((sides[:, 0], expected[:, 0]), (sides.prod(1), expected.prod(1))):
            assert left.quantile(quantile).item() == pytest.approx(
                right.quantile(quantile).item(), abs=0.03
            )


def test_without_a_fitting_box_the_whole_image_is_used(generator):
    corners, sides = draw_boxes(200, (1.0, 1.0), generator)  # only squares would fit
    assert TRIES == 10
    assert torch.equal(corners, torch.zeros(200, 2))
    assert torch.equal(sides, torch.ones(200, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_batches_have_the_networks_side(channels, generator):
    images = make_smooth_images(6)[..., :channels].contiguous()
    augmentation = Augmentation(4, True, 3, area=[0.08, 1.0], colour=0.4)
    batch = augmentation(images, generator, make_identity(channels=channels))
    assert batch.shape == (6, channels, SIDE, SIDE)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.min() >= 0
    assert batch.max() <= 1


def test_each_image_has_its_own_box_that_depends_only_on_the_generator():
    alike = make_smooth_images(1).expand(32, -1, -1, -1)
    augmentation = Augmentation(area=[0.08, 1.0])
    first, again, other = (
        augmentation(alike, torch.Generator().manual_seed(seed), make_identity())
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) == 32


def test_padding_is_unused_with_an_area(generator):
    white = torch.full((64, S, S, 1), 255, dtype=torch.uint8)
    batch = Augmentation(pad=8, area=[0.08, 1.0])(white, generator, make_identity(channels=1))
    torch.testing.assert_close(batch, torch.ones_like(batch))
