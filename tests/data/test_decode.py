"""Image files of every mode and format give the pixels of their plain 8-bit copy."""

import random
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from lightning_nas.data.decode import SUFFIXES, UnreadableImageError, check_image, decode_image

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (12, 16), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (12, 16, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(COLOUR[:2, :2]).resize((16, 12)))  # for lossy formats
BINARY = (GREY > 127) * np.uint8(255)
WIDE = GREY.astype(np.uint16) * 257
GREY_IMAGE, COLOUR_IMAGE = Image.fromarray(GREY), Image.fromarray(COLOUR)
PALETTE = COLOUR_IMAGE.quantize(64)


def decode(path: Path, channels: int = 3) -> np.ndarray:
    return np.asarray(decode_image(path, channels)).astype(int)


def set_tiff_tag(path: Path, tag: int, value: int) -> None:
    """Replace a short value in the first directory of a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, place)[0] == tag:
            struct.pack_into("<H", data, place + 8, value)
    path.write_bytes(data)


TWINS = {  # file name: (image to save, expected pixels)
    "grey.png": (GREY_IMAGE, GREY),
    "colour.png": (COLOUR_IMAGE, COLOUR),
    "colour.bmp": (COLOUR_IMAGE, COLOUR),
    "colour.dib": (COLOUR_IMAGE, COLOUR),
    "colour.ppm": (COLOUR_IMAGE, COLOUR),
    "colour.tiff": (COLOUR_IMAGE, COLOUR),
    "colour.qoi": (COLOUR_IMAGE, COLOUR),
    "lossless.webp": (COLOUR_IMAGE, COLOUR),
    "16 bits.png": (Image.fromarray(WIDE), GREY),
    "16 bits.tif": (Image.fromarray(WIDE), GREY),
    "16 bits, big-endian.tif": (Image.fromarray(WIDE.astype(">u2")), GREY),
    "16 bits.pgm": (Image.fromarray(WIDE.astype(np.int32)), GREY),
    "16 of 32 bits.tif": (Image.fromarray(WIDE.astype(np.int32)), GREY),
    "8 of 32 bits.tif": (GREY_IMAGE.convert("I"), GREY),
    "float to 1.tif": (Image.fromarray((GREY / 255).astype(np.float32)), GREY),
    "float to 1.pfm": (Image.fromarray((GREY / 255).astype(np.float32)), GREY),
    "float to 255.tif": (GREY_IMAGE.convert("F"), GREY),
    "binary.png": (Image.fromarray(BINARY).convert("1"), BINARY),
    "binary.tif": (Image.fromarray(BINARY).convert("1"), BINARY),
    "grey and alpha.png": (GREY_IMAGE.convert("LA"), GREY),
    "colour and alpha.png": (COLOUR_IMAGE.convert("RGBA"), COLOUR),
    "palette.png": (PALETTE, np.asarray(PALETTE.convert("RGB"))),
    "palette.gif": (PALETTE, np.asarray(PALETTE.convert("RGB"))),
    "cmyk.tif": (COLOUR_IMAGE.convert("CMYK"), COLOUR),
}
LOSSY_TWINS = {
    "colour.jpg": (Image.fromarray(SMOOTH), SMOOTH),
    "colour.jfif": (Image.fromarray(SMOOTH), SMOOTH),
    "cmyk.jpg": (Image.fromarray(SMOOTH).convert("CMYK"), SMOOTH),
    "ycbcr.tif": (Image.fromarray(SMOOTH).convert("YCbCr"), SMOOTH),
    "colour.avif": (Image.fromarray(SMOOTH), SMOOTH),
}


@pytest.mark.parametrize("name", TWINS)
def test_each_mode_and_format_equals_its_8_bit_copy(tmp_path, name):
    image, expected = TWINS[name]
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    channels = 1 if expected.ndim == 2 else 3
    check_image(tmp_path / name)
    assert abs(decode(tmp_path / name, channels) - expected).max() <= 1
    if channels == 1:
        assert abs(decode(tmp_path / name, 3) - expected[..., None]).max() <= 1


@pytest.mark.parametrize("name", LOSSY_TWINS)
def test_lossy_formats_equal_their_copy_as_far_as_the_format_allows(tmp_path, name):
    image, expected = LOSSY_TWINS[name]
    settings = {} if name.endswith("tif") else {"quality": 100, "subsampling": "4:4:4"}
    image.save(tmp_path / name, format="JPEG" if name.endswith("jfif") else None, **settings)
    check_image(tmp_path / name)
    assert abs(decode(tmp_path / name) - expected).max() <= 4


@pytest.mark.parametrize(("largest", "factor"), [(255, 1.0), (1023, 1023 / 255), (65_535, 257.0)])
def test_the_largest_value_in_a_pgm_is_white(tmp_path, largest, factor):
    kind = ">u2" if largest > 255 else "u1"
    pixels = (GREY * factor).astype(kind).tobytes()
    (tmp_path / "x.pgm").write_bytes(b"P5 16 12 %d\n" % largest + pixels)
    assert abs(decode(tmp_path / "x.pgm", 1) - GREY).max() <= 1


def test_white_may_be_zero_in_a_16_bit_tiff(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(65_535 - WIDE).save(path)
    set_tiff_tag(path, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
    assert abs(decode(path, 1) - GREY).max() <= 1


# how to turn the upright image so that the tag of this number turns it back
TURNS = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_images_are_upright(tmp_path, orientation, suffix):
    for image, channels in ((Image.fromarray(SMOOTH), 3), (Image.fromarray(WIDE), 1)):
        if channels == 1 and suffix in (".webp", ".jpg"):
            continue
        turn, exif = TURNS[orientation], Image.Exif()
        exif[0x0112] = orientation
        turned = image if turn is None else image.transpose(turn)
        path = tmp_path / f"x{suffix}"
        settings = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
        turned.save(path, exif=exif, **settings.get(suffix, {}))
        expected = SMOOTH if channels == 3 else GREY
        assert abs(decode(path, channels) - expected).max() <= 4


def test_damaged_exif_data_do_not_matter(tmp_path):
    COLOUR_IMAGE.save(tmp_path / "x.png", exif=b"Exif\0\0nonsense")
    assert (decode(tmp_path / "x.png") == COLOUR).all()


def save_transparent(path: Path, mode: str) -> None:
    """Save black with a transparent left half."""
    alpha = np.full((12, 16), 255, dtype=np.uint8)
    alpha[:, :8] = 0
    black = Image.new("RGBA", (16, 12), "black")
    black.putalpha(Image.fromarray(alpha))
    if mode == "P":
        indices = Image.fromarray((alpha > 0).astype(np.uint8)).convert("P")
        indices.putpalette([0] * 768)
        indices.save(path, transparency=0)
    elif mode == "L":
        Image.fromarray((alpha == 0) * np.uint8(9)).save(path, transparency=9)
    else:
        black.convert(mode).save(path)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", ".png"), ("LA", ".png"), ("P", ".png"), ("P", ".gif"), ("L", ".png")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_are_white(tmp_path, mode, suffix, channels):
    path = tmp_path / f"x{suffix}"
    save_transparent(path, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decode(path, channels)
    assert (pixels[:, :8] == 255).all()
    assert (pixels[:, 8:] == 0).all()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (GREY.astype(np.float32) * 9, "float pixels from 0 to 22.*; legal: 0 to 1, or 0 to 255"),
        (GREY.astype(np.float32) - 9, "float pixels from -9 to 2.*; legal"),
        (np.where(GREY > 99, np.nan, 0.5).astype(np.float32), "float pixels from nan to nan"),
        (GREY.astype(np.int32) * 9_000, "32-bit pixels from .* legal: 0 to 255, or 0 to 65535"),
        (GREY.astype(np.int32) - 9, "32-bit pixels from -9 to 2"),
    ],
)
def test_pixels_of_an_unclear_range_are_refused_before_the_run(tmp_path, pixels, message):
    path = tmp_path / "x.tif"
    Image.fromarray(pixels).save(path)
    for read in (check_image, decode):
        with pytest.raises(UnreadableImageError, match=message):
            read(path)


def test_an_unknown_colour_space_is_refused_before_the_run(tmp_path):
    Image.new("LAB", (8, 8)).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableImageError, match="colours of the kind LAB"):
        check_image(tmp_path / "x.tif")


TRUNCATED = ["grey.png", "16 bits.tif", "16 bits.pgm", "colour.bmp", "colour.ppm", "colour.qoi"]
TRUNCATED += ["lossless.webp", "palette.gif", "palette.png", "colour.jpg", "colour.avif"]


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_file_is_found_without_decoding_all_files(tmp_path, name):
    path = tmp_path / name
    {**TWINS, **LOSSY_TWINS}[name][0].save(path)
    check_image(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UnreadableImageError, match=f"^cannot read the image {path}: "):
        check_image(path)


@pytest.mark.parametrize("name", ["grey.png", "colour.jpg", "palette.gif"])
def test_bytes_after_the_end_of_an_image_do_not_matter(tmp_path, name):
    path = tmp_path / name
    {**TWINS, **LOSSY_TWINS}[name][0].save(path)
    path.write_bytes(path.read_bytes() + b"\0" * 50)
    check_image(path)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def write_bomb(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"0")), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks))


def write_text_bomb(path: Path) -> None:
    text = png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2 * 2**20)))
    GREY_IMAGE.save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + text + data[33:])  # after the header


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_bomb, "decompression bomb"),
        (write_text_bomb, "[Dd]ecompress"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"not an image"), "none of the formats PNG, JPEG"),
        (lambda path: COLOUR_IMAGE.save(path, format="EPS"), "none of the formats"),
        (lambda path: COLOUR_IMAGE.save(path, format="PDF"), "none of the formats"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: None, "no such file"),
    ],
    ids=["bomb", "text bomb", "empty", "text", "EPS", "PDF", "folder", "missing"],
)
def test_what_is_no_image_is_one_line(tmp_path, write, reason):
    path = tmp_path / "x.png"
    write(path)
    for read in (check_image, decode):
        with pytest.raises(UnreadableImageError, match=reason) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"cannot read the image {path}: ")


def test_a_file_name_that_is_not_utf_8_is_printable(tmp_path):
    path = tmp_path / "caf\udce9.png"
    path.write_bytes(b"not an image")
    with pytest.raises(UnreadableImageError, match=r"caf\\xe9\.png") as caught:
        check_image(path)
    str(caught.value).encode()


MUTATED = ["grey.png", "palette.gif", "16 bits.tif", "colour.jpg", "colour.bmp", "colour.ppm"]


@pytest.mark.filterwarnings("ignore")  # PIL warns of much that it reads nevertheless
@pytest.mark.parametrize("name", [*MUTATED, "lossless.webp", "colour.qoi"])
def test_damaged_bytes_give_pixels_or_one_error(tmp_path, name):
    path = tmp_path / name
    {**TWINS, **LOSSY_TWINS}[name][0].save(path)
    data, choose = path.read_bytes(), random.Random(0)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(choose.randint(1, 6)):
            damaged[choose.randrange(min(len(data), 400))] = choose.choice([0, 1, 127, 128, 255])
        path.write_bytes(damaged)
        for read in (check_image, decode):
            with suppress(UnreadableImageError):
                read(path)


def test_the_suffixes_are_lower_case_and_include_the_usual_ones():
    assert {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".ppm"} <= SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
