"""Augmentation of batches against loops over images with the same random numbers."""

import pytest
import torch

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.transforms import crop, cut_out, mirror
from lightning_nas.errors import InputError

N, SIDE, CHANNELS = 64, 9, 3


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.randint(1, 256, (N, SIDE, SIDE, CHANNELS), generator=generator, dtype=torch.uint8)


def make_identity(width: int = SIDE, channels: int = CHANNELS) -> Normalise:
    return Normalise([0.0] * channels, [1.0] * channels, width, torch.device("cpu"))


def test_crop_equals_the_loop(images, generator):
    pad = 2
    top = torch.randint(2 * pad + 1, (N,), generator=generator)
    left = torch.randint(2 * pad + 1, (N,), generator=generator)
    expected = torch.zeros_like(images)
    for n in range(N):
        for row in range(SIDE):
            for column in range(SIDE):
                y, x = row + int(top[n]) - pad, column + int(left[n]) - pad
                if 0 <= y < SIDE and 0 <= x < SIDE:
                    expected[n, row, column] = images[n, y, x]
    assert torch.equal(crop(images, pad, top, left), expected)


@pytest.mark.parametrize("pad", [0, 2])
def test_crop_of_larger_images_equals_the_loop(images, generator, pad):
    excess = 4
    top = torch.randint(2 * pad + excess + 1, (N,), generator=generator)
    left = torch.randint(2 * pad + excess + 1, (N,), generator=generator)
    expected = torch.zeros(N, SIDE - excess, SIDE - excess, CHANNELS, dtype=torch.uint8)
    for n in range(N):
        for row in range(SIDE - excess):
            for column in range(SIDE - excess):
                y, x = row + int(top[n]) - pad, column + int(left[n]) - pad
                if 0 <= y < SIDE and 0 <= x < SIDE:
                    expected[n, row, column] = images[n, y, x]
    assert torch.equal(crop(images, pad, top, left, excess), expected)


def test_all_crops_of_a_larger_image_occur(generator):
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 5, 5, 1).expand(2000, -1, -1, -1)
    augmented = Augmentation()(image.contiguous(), generator, make_identity(3, 1))
    seen = {tuple((crop * 255).round().int().flatten().tolist()) for crop in augmented}
    pixels = image[0, ..., 0].int()
    assert seen == {
        tuple(pixels[top : top + 3, left : left + 3].flatten().tolist())
        for top in range(3)
        for left in range(3)
    }


def test_cutout_is_inside_the_cropped_image(generator):
    white = torch.full((2000, 12, 12, 1), 255, dtype=torch.uint8)
    augmented = Augmentation(cutout=1)(white, generator, make_identity(6, 1))
    assert augmented.shape == (2000, 1, 6, 6)
    assert ((augmented == 0).flatten(1).sum(1) == 1).all()
    assert (augmented == 0).any(0).all()


def test_order_of_random_numbers_is_fixed(images):
    augmented = Augmentation(2, True, 3)(images, torch.Generator().manual_seed(5), make_identity())
    generator = torch.Generator().manual_seed(5)
    top, left = (torch.randint(5, (N,), generator=generator) for _ in range(2))
    chosen = torch.randint(2, (N,), generator=generator).bool()
    row, column = (torch.randint(SIDE, (N,), generator=generator) for _ in range(2))
    expected = make_identity()(mirror(crop(images, 2, top, left), chosen))
    assert torch.equal(augmented, cut_out(expected, 3, row, column))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("excess", [0, 2, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_padding_with_the_mean_equals_padding_after_normalisation(flip, excess, channels):
    """The released code of ENAS normalises, pads with zeros, crops, then flips."""
    generator, pad, side = torch.Generator().manual_seed(1), 4, SIDE - excess
    images = torch.randint(256, (N, SIDE, SIDE, channels), generator=generator, dtype=torch.uint8)
    mean, std = [0.5, 0.4, 0.3][:channels], [0.2, 0.25, 0.3][:channels]
    augmented = Augmentation(pad, flip, fill="mean")(
        images, torch.Generator().manual_seed(5),
        Normalise(mean, std, side, torch.device("cpu")),
    )  # fmt: skip
    draws = torch.Generator().manual_seed(5)
    top, left = (torch.randint(2 * pad + excess + 1, (N,), generator=draws) for _ in range(2))
    flipped = torch.randint(2, (N,), generator=draws) if flip else torch.zeros(N)
    whole = Normalise(mean, std, SIDE, torch.device("cpu"))(images)
    padded = torch.nn.functional.pad(whole, (pad,) * 4)
    for n in range(N):
        expected = padded[n, :, top[n] : top[n] + side, left[n] : left[n] + side]
        torch.testing.assert_close(augmented[n], expected.flip(2) if flipped[n] else expected)
    assert (augmented == 0).any()


def test_padding_is_black_if_a_configuration_lacks_the_setting():
    white = torch.full((100, 4, 4, 1), 255, dtype=torch.uint8)
    normalise = Normalise([0.5], [0.25], 4, torch.device("cpu"))
    for settings, padding in (({}, -2), ({"fill": "black"}, -2), ({"fill": "mean"}, 0)):
        augmented = Augmentation(pad=2, **settings)(white, torch.Generator(), normalise)
        assert augmented.unique().tolist() == pytest.approx([padding, 2])


def test_the_mean_colour_outside_an_image_stays_if_the_colours_of_the_image_change(images):
    changed = Augmentation(pad=4, colour=0.4, fill="mean")
    normalise = Normalise([0.5] * 3, [0.25] * 3, SIDE, torch.device("cpu"))
    blanks = [
        (augment(images, torch.Generator().manual_seed(2), normalise) == 0).all(1)
        for augment in (changed, Augmentation(pad=4, fill="mean"))
    ]
    assert torch.equal(*blanks)
    assert blanks[0].any()


def test_an_unknown_fill_is_refused():
    with pytest.raises(InputError, match=r"augmentation.fill must be black or mean, got white"):
        Augmentation(fill="white")


def test_mirror_equals_the_loop(images, generator):
    chosen = torch.randint(2, (N,), generator=generator).bool()
    expected = images.clone()
    for n in range(N):
        if chosen[n]:
            for column in range(SIDE):
                expected[n, :, column] = images[n, :, SIDE - 1 - column]
    assert torch.equal(mirror(images, chosen), expected)


@pytest.mark.parametrize("side", [1, 4, 5, 30])
def test_cut_out_equals_the_loop(images, generator, side):
    row = torch.randint(SIDE, (N,), generator=generator)
    column = torch.randint(SIDE, (N,), generator=generator)
    expected = make_identity()(images).clone()
    for n in range(N):
        top, left = int(row[n]) - side // 2, int(column[n]) - side // 2
        expected[n, :, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
    assert torch.equal(cut_out(make_identity()(images), side, row, column), expected)


def test_each_image_of_a_batch_has_its_own_random_numbers(images, generator):
    alike = images[:1].expand(N, -1, -1, -1).contiguous()
    augmented = Augmentation(pad=2, flip=True, cutout=3)(alike, generator, make_identity())
    assert len({image.numpy().tobytes() for image in augmented}) > N // 2


def test_all_offsets_and_both_directions_occur(generator):
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 3, 3, 1).expand(2000, -1, -1, -1)
    augmented = Augmentation(pad=1, flip=True)(image.contiguous(), generator, make_identity(3, 1))
    assert len({image.numpy().tobytes() for image in augmented}) == 3 * 3 * 2


def test_half_of_the_images_are_flipped(generator):
    image = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(4000, 1, 2, 1)
    augmented = Augmentation(flip=True)(image.contiguous(), generator, make_identity(2, 1))
    assert augmented[:, 0, 0, 0].mean() == pytest.approx(0.5, abs=0.03)


def test_augmentations_that_are_off_change_nothing(images, generator):
    assert torch.equal(Augmentation()(images, generator, make_identity()), make_identity()(images))
    cropped = Augmentation(pad=1, flip=False)(images, generator, make_identity())
    offsets = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    crops = [crop(images, 1, *pair.unsqueeze(1).expand(2, N)) for pair in offsets]
    batches = [make_identity()(images_NHWC) for images_NHWC in crops]
    matches = torch.stack([(cropped == batch).flatten(1).all(1) for batch in batches])
    assert matches.any(0).all()


def test_cutout_fills_with_the_mean_and_loses_area_at_the_border():
    images = torch.full((4000, 16, 16, 1), 255, dtype=torch.uint8)
    normalise = Normalise([0.5], [0.25], 16, torch.device("cpu"))
    augmented = Augmentation(cutout=8)(images, torch.Generator().manual_seed(0), normalise)
    assert augmented.unique().tolist() == pytest.approx([0, 2])
    area = (augmented == 0).flatten(1).sum(1)
    # Along an axis, centres 0 to 3 leave 4 to 7 pixels, 13 to 15 leave 7 to 5, the others 8.
    axis = (4 + 5 + 6 + 7 + 9 * 8 + 7 + 6 + 5) / 16
    assert area.double().mean().item() == pytest.approx(axis**2, rel=0.02)
    assert area.max() == 64
    assert area.min() == 16


@pytest.mark.parametrize("channels", [1, 3])
def test_memory_is_channels_last(channels, generator):
    images = torch.zeros(5, 4, 4, channels, dtype=torch.uint8)
    augmented = Augmentation(1, True, 2)(images, generator, make_identity(4, channels))
    assert augmented.shape == (5, channels, 4, 4)
    assert augmented.dtype == torch.float32
    assert augmented.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("setting", ["pad", "cutout"])
def test_negative_sizes_are_refused(setting):
    with pytest.raises(InputError, match=f"data.augmentation.{setting} must be 0 or more, got -1"):
        Augmentation(**{setting: -1})


@pytest.mark.parametrize(
    "area", [[0, 1], [0.5, 0.4], [0.5, 1.1], [-0.1, 0.5], [0.5], ["a", "b"], [0.1, 0.2, 0.3], 0.5]
)
def test_areas_out_of_range_are_refused(area):
    with pytest.raises(InputError) as caught:
        Augmentation(area=area)
    assert str(caught.value) == (
        "data.augmentation.area must be two shares, the smallest and the largest, above 0 and up "
        f"to 1, got {area}"
    )


@pytest.mark.parametrize("colour", [-0.1, 1.1])
def test_colours_out_of_range_are_refused(colour):
    with pytest.raises(
        InputError, match=rf"data\.augmentation\.colour must be from 0 to 1, got {colour}"
    ):
        Augmentation(colour=colour)
