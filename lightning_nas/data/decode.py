"""The one reader of image files: from a file to 8-bit pixels that look as people see the image.

Every command opens images here: training, test, prediction, statistics. The rules:

- The file's content decides its format, not its name. Only ``FORMATS`` are opened.
- An image is turned upright by its EXIF orientation.
- Transparent pixels show white. Pixels that are opaque stay as they are.
- 16-bit pixels are divided by the largest value of their type, 65,535 (12-bit TIFF: 4,095).
- The range of float and of 32-bit pixels is not in the file, so the largest pixel decides: floats
  range from 0 to 1, or from 0 to 255; 32-bit integers from 0 to 255, or from 0 to 65,535. Other
  values are refused.
- Only the first image of an animation or of several pages is read.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from lightning_nas.errors import InputError, describe_os_error, printable

# PIL's name of a format: its suffixes. Left out are formats for which PIL starts another program
# (EPS), and JPEG 2000: PIL fills the missing part of a truncated file without an error.
FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "QOI": (".qoi",),
}
OPTIONAL = {"WEBP": "webp", "AVIF": "avif"}  # PIL may be built without
SUFFIXES = {
    suffix
    for name, suffixes in FORMATS.items()
    if name not in OPTIONAL or features.check(OPTIONAL[name])
    for suffix in suffixes
}

GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
WIDE_MODES = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}  # more than 8 bits a pixel
LEGAL_TOPS = {"I": (255, 65_535), "F": (1, 255)}  # largest pixel of a whole range
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF, and a value
STRIPS, TILES = (273, 279), (324, 325)  # tags of TIFF: offsets and lengths
LAST_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"  # of a complete PNG

SKIP_HINT = "repair it, or go on without it: data.skip_unreadable=true"

# What PIL raises for damaged files. A list, because signals raise other exceptions at any line.
PIL_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(AssertionError, EOFError, BufferError, RuntimeError, MemoryError),
    *(struct.error, Image.DecompressionBombError),
)
# What cannot be read raises an exception; PIL's warnings of the rest would be printed per process.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadableImageError(InputError):
    """Error of a file that is no image, is damaged, or has pixels of an unclear range.

    Args:
        path: The file.
        reason: What is wrong.
        hint: What to do.

    Attributes:
        reason: What is wrong, in one line.
        hint: What to do; may be set later, by code that knows more.
    """

    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        super().__init__(path, reason, hint)
        self.path, self.reason, self.hint = path, " ".join(reason.split()), hint

    def __str__(self) -> str:
        """Return the message: file, reason and hint."""
        hint = f"; {self.hint}" if self.hint else ""
        return f"cannot read the image {printable(self.path)}: {self.reason}{hint}"


def decode_image(path: str | Path, channels: int) -> Image.Image:
    """Return the pixels of an image file, upright, mode L or RGB.

    Args:
        path: File in one of ``FORMATS``, with any name.
        channels: 1 for grey, 3 for RGB; the image is converted.

    Raises:
        UnreadableImageError: If the file cannot be read.
    """
    with _open(path) as (image, _):
        return _convert(image, channels)


def check_image(path: str | Path, decode: bool = False) -> tuple[str, tuple[int, int]]:
    """Return PIL's mode and size of an image from its header, and check that the file is complete.

    The check reads the end of the file. It decodes the image where the end says nothing.

    Args:
        path: File in one of ``FORMATS``, with any name.
        decode: Whether to decode every image: slower, but finds all damage.

    Raises:
        UnreadableImageError: If the file cannot be read.
    """
    with _open(path) as (image, file):
        mode, size = image.mode, image.size
        if mode not in GREY_MODES | COLOUR_MODES:
            raise ValueError(f"colours of the kind {mode}; save the image as RGB")
        if decode or mode in LEGAL_TOPS or not _is_complete(image, file):
            _convert(image, channels=3)
    return mode, size


@contextmanager
def _open(path: str | Path) -> Iterator[tuple[Image.Image, BinaryIO]]:
    try:
        with open(path, "rb") as file, Image.open(file, formats=list(FORMATS)) as image:
            yield image, file
    except UnidentifiedImageError:
        raise UnreadableImageError(path, _explain_unknown(path)) from None
    except PIL_ERRORS as error:
        is_of_system = isinstance(error, OSError) and error.strerror
        reason = describe_os_error(error) if is_of_system else str(error)  # type: ignore[arg-type]
        raise UnreadableImageError(path, reason or type(error).__name__) from error


def _explain_unknown(path: str | Path) -> str:
    if Path(path).stat().st_size == 0:
        return "the file is empty"
    return f"damaged, or none of the formats {', '.join(FORMATS)}"


def _convert(image: Image.Image, channels: int) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except PIL_ERRORS:  # damaged EXIF data; damaged pixels raise again below
        image.load()
    if image.mode in WIDE_MODES:
        image = _scale_to_8_bits(image)
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("L" if channels == 1 else "RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16-bit, 32-bit or float pixels as 8-bit, by the rules of the module.

    Raises:
        ValueError: If the range of the pixels is unclear.
    """
    pixels = np.asarray(image)
    top = _find_top(image, pixels)
    levels = pixels * (255 / top)
    tags = getattr(image, "tag_v2", {})
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # PIL inverts 8-bit pixels only
        levels = 255 - levels
    return Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8))


def _find_top(image: Image.Image, pixels: np.ndarray) -> int:
    """Return the value of a white pixel."""
    is_32_bit = image.mode in LEGAL_TOPS and image.format not in ("PNG", "PPM")
    if not is_32_bit and image.mode != "F":
        (bits,) = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
        return int(2**bits - 1)
    low, high = pixels.min(), pixels.max()
    top = next((top for top in LEGAL_TOPS[image.mode] if high <= top), None)
    if top is None or low < 0:  # not a number: no comparison holds
        first, second = LEGAL_TOPS[image.mode]
        kind = "float" if image.mode == "F" else "32-bit"
        raise ValueError(
            f"{kind} pixels from {low:g} to {high:g}; legal: 0 to {first}, or 0 to {second}"
        )
    return top


def _is_complete(image: Image.Image, file: BinaryIO) -> bool:
    """Return whether the end of the file shows that nothing is cut off; false if unknown."""
    position = file.tell()  # PIL continues there
    size = file.seek(0, 2)
    start = max(0, size - len(LAST_CHUNK))
    file.seek(start)
    end = file.read()
    file.seek(4)
    riff_size = int.from_bytes(file.read(4), "little")
    file.seek(position)
    if image.format == "PNG":
        return end == LAST_CHUNK
    if image.format in ("JPEG", "MPO"):
        return end.endswith(b"\xff\xd9")
    if image.format == "GIF":
        return end.endswith(b";")
    if image.format == "WEBP":
        return riff_size + 8 <= size
    if image.format == "TIFF":
        return _last_byte(image) <= size
    return False


def _last_byte(image: Image.Image) -> float:
    """Return the end of the last strip or tile of a TIFF; infinity if the tags lack it."""
    tags = getattr(image, "tag_v2", {})
    for offsets, lengths in (STRIPS, TILES):
        if tags.get(offsets) and tags.get(lengths):
            return max(map(sum, zip(tags[offsets], tags[lengths], strict=False)))
    return float("inf")
