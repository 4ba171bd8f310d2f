"""Colours of pictures, and the names of operations in pictures."""

from dataclasses import dataclass

INK, QUIET, FAINT = "#222222", "#5F5F5F", "#B5B5B5"
RED = "#C8102E"  # chosen options of a search space; darker than FAINT when printed in greyscale
DARK, OLDER, NEWER = "#3B4252", "#A3541A", "#1F6FA8"  # outputs; older and newer input of a cell
OPERATION_NAMES = {
    "conv_1x1": "convolution 1x1",
    "conv_3x3": "convolution 3x3",
    "conv_5x5": "convolution 5x5",
    "conv_1x3_3x1": "convolutions 1x3 and 3x1",
    "conv_1x7_7x1": "convolutions 1x7 and 7x1",
    "dil_conv_3x3": "dilated convolution 3x3",
    "sep_conv_3x3": "separable convolution 3x3",
    "sep_conv_5x5": "separable convolution 5x5",
    "sep_conv_7x7": "separable convolution 7x7",
    "avg_pool_3x3": "average pooling 3x3",
    "max_pool_3x3": "max pooling 3x3",
    "max_pool_5x5": "max pooling 5x5",
    "max_pool_7x7": "max pooling 7x7",
    "identity": "identity",
    "none": "no connection",
    "window_1": "1x1",
    "window_3": "up to 3x3",
    "window_5": "up to 5x5",
    "window_7": "larger",
}
SHORT_NAMES = {
    "identity": "id",
    "none": "none",
    "conv_1x3_3x1": "1x3 3x1",
    "conv_1x7_7x1": "1x7 7x1",
}


@dataclass(frozen=True)
class Style:
    """Colours of a box: its face, its outline and its text."""

    face: str
    edge: str
    text: str = INK


# Faces differ for colour-blind readers, too; kernel sizes are shades of one hue. The contrast of
# text and face is 4.5 or more. After Paul Tol, https://sronpersonalpages.nl/~pault.
STYLES = {
    "conv_1x1": Style("#FFF1E9", "#C77F62"),
    "conv_3x3": Style("#FFD9C7", "#B4532F"),
    "conv_5x5": Style("#F0926F", "#9A3E1C"),
    "conv_1x3_3x1": Style("#F3D3E4", "#93406F"),
    "conv_1x7_7x1": Style("#DE9CC4", "#7E2C5B"),
    "dil_conv_3x3": Style("#D5C9EC", "#5F4696"),
    "sep_conv_3x3": Style("#CFE8FA", "#33729E"),
    "sep_conv_5x5": Style("#86B4E4", "#265A8C"),
    "sep_conv_7x7": Style("#2A62A0", "#1A426B", "#FFFFFF"),
    "avg_pool_3x3": Style("#F3E39B", "#8F7A12"),
    "max_pool_3x3": Style("#A3DECB", "#1F735A"),
    "max_pool_5x5": Style("#4DB594", "#185A47"),
    "max_pool_7x7": Style("#1B6B51", "#104334", "#FFFFFF"),
    "identity": Style("#E4E4E4", "#777777"),
    "none": Style("#FFFFFF", "#777777"),
    "window_1": Style("#FFF1E9", "#C77F62"),
    "window_3": Style("#FFD9C7", "#B4532F"),
    "window_5": Style("#F0926F", "#9A3E1C"),
    "window_7": Style("#A8421D", "#7A2C10", "#FFFFFF"),
    "input0": Style(OLDER, OLDER, "#FFFFFF"),
    "input1": Style(NEWER, NEWER, "#FFFFFF"),
    "end": Style(DARK, DARK, "#FFFFFF"),
    "join": Style("#FFFFFF", INK),
    "pooling": Style("#FFFFFF", "#777777"),
    "frame": Style("#FFFFFF", FAINT),
    "option": Style("#FFFFFF", "#D4D4D4", "#767676"),
    "number": Style("#FFFFFF", INK),
}


UNKNOWN = Style("#FFFFFF", "#AA4499")  # operations that users add have no colour of their own


def find_style(kind: str) -> Style:
    """Return the colours of an operation or of another kind of box, ``UNKNOWN`` by default."""
    return STYLES.get(kind, UNKNOWN)


def full_name(operation: str) -> str:
    """Return the name of an operation for a legend.

    >>> full_name("sep_conv_5x5"), full_name("ghost_module")
    ('separable convolution 5x5', 'ghost module')
    """
    return OPERATION_NAMES.get(operation, operation.replace("_", " "))


def short_name(operation: str) -> str:
    """Return the name of an operation for a box.

    >>> short_name("sep_conv_5x5"), short_name("max_pool_3x3"), short_name("identity")
    ('sep 5x5', 'max 3x3', 'id')
    >>> short_name("ghost_module"), short_name("swish")
    ('ghost module', 'swish')
    """
    if operation in SHORT_NAMES:
        return SHORT_NAMES[operation]
    if operation not in OPERATION_NAMES:
        return full_name(operation)
    kind, *_, window = operation.split("_")
    return f"{kind} {window}"
