"""What the writers of Python code share: lines that fit, and the frame of a network's class."""

from collections.abc import Sequence
from typing import Any

WIDTH = 100


def brackets(head: str, items: Sequence[str], tail: str, indent: int) -> list[str]:
    """Return the lines of a bracket: one if it fits, else a line an item.

    >>> brackets("call(", ["one", "two"], ")", indent=4)
    ['    call(one, two)']
    """
    line = " " * indent + head + ", ".join(items) + tail
    if len(line) <= WIDTH:
        return [line]
    return lines_of(head, items, tail, indent)


def item(head: str, items: Sequence[str], tail: str, indent: int) -> str:
    """Return the same as an item of another bracket: without the comma that follows it."""
    return "\n".join(brackets(head, items, f"{tail},", indent)).strip().removesuffix(",")


def lines_of(head: str, items: Sequence[str], tail: str, indent: int) -> list[str]:
    """Return the lines of a bracket that has a line an item."""
    space = " " * indent
    return [space + head, *(f"{space}    {item}," for item in items), space + tail]


def module_list(name: str, items: Sequence[str]) -> list[str]:
    """Return the lines that set an attribute to a list of modules, a line each."""
    inner = lines_of("[", items, "]", 12)
    return [f"        self.{name} = nn.ModuleList(", *inner, "        )"]


def stem_line(stem: Any) -> str:
    """Return the line that makes the stem."""
    conv, channels = stem[0], stem[0].out_channels
    sizes = f"{conv.in_channels}, {channels}, 3"
    made = f"Conv2d({sizes})"
    if conv.stride != (1, 1):  # NASNet's for large images has no padding
        made = f"nn.Conv2d({sizes}, stride=2, bias=False)"
    return f"        self.stem = nn.Sequential({made}, batch_norm({channels}))"


def classifier_line(classifier: Any) -> str:
    """Return the line that makes the classifier."""
    linear, dropout = classifier.linear, classifier.dropout
    options = f"dropout={dropout.p}, bias={linear.bias is not None}"
    return f"        self.classifier = Classifier({linear.in_features}, num_classes, {options})"


def network_class(says: str, num_classes: int, made: Sequence[str], run: Sequence[str]) -> str:
    """Return the class of a network.

    Args:
        says: Its docstring.
        num_classes: The default of its only argument.
        made: Lines that make its layers.
        run: Lines that run them.
    """
    return "\n".join(
        [
            "class Network(nn.Module):",
            f'    """{says}"""',
            "",
            f"    def __init__(self, num_classes: int = {num_classes}) -> None:",
            "        super().__init__()",
            *made,
            "",
            "    def forward(self, images: Tensor) -> Tensor:",
            '        """Return logits, ``(N, num_classes)``."""',
            *run,
        ]
    )
