"""Parameters and multiply-adds of the published networks, beside the figures of the papers.

Nothing is trained or computed: the networks run on the meta device. The benchmark fails if torch's
own counter disagrees. Multiply-adds are for one image.

    python -m benchmarks.published
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import Architecture
from lightning_nas.evaluation.complexity import measure

IMAGENET = {"num_classes": 1000, "stem": "imagenet"}


@dataclass(frozen=True)
class Row:
    """A network and the figures of its paper.

    Args:
        name: Name to print.
        architecture: Architecture to build.
        paper: Parameters, and multiply-adds if the paper gives them, as printed in the paper.
        size: Side of the images in pixels.
        settings: Keyword arguments of ``build_network``.
    """

    name: str
    architecture: Architecture
    paper: str
    size: int = 32
    settings: dict[str, Any] = field(default_factory=lambda: {"num_classes": 10})


def plain_macro() -> Architecture:
    """Return the macro network as the released script runs it: with plain convolutions only."""
    architecture: Any = load_architecture("enas_macro")
    layers = (
        replace(layer, operation=layer.operation.removeprefix("sep_"))
        for layer in architecture.layers
    )
    return replace(architecture, layers=tuple(layers))


def rows() -> Iterator[Row]:
    """Yield the rows of the table."""
    nasnet_a, micro = load_architecture("nasnet_a"), load_architecture("enas_micro")
    mobile, large = IMAGENET | {"cells": 4, "filters": 44}, IMAGENET | {"cells": 6, "filters": 168}
    yield Row("nas_2017", load_architecture("nas_2017"), "4.2M")
    yield Row("nasnet_a, 6 @ 768", nasnet_a, "3.3M")
    yield Row("nasnet_a, 4 @ 1056 (Mobile)", nasnet_a, "5.3M, 564M", 224, mobile)
    yield Row("nasnet_a, 6 @ 4032 (Large)", nasnet_a, "88.9M, 23.8B", 331, large)
    yield Row("enas_micro", micro, "4.6M")
    yield Row("enas_micro, cells=6", micro, "4.6M", settings={"num_classes": 10, "cells": 6})
    yield Row("enas_micro_paper", load_architecture("enas_micro_paper"), "4.6M")
    yield Row("enas_macro", load_architecture("enas_macro"), "21.3M; script 30,947,424")
    yield Row("enas_macro, plain as released", plain_macro(), "38.0M; script 42,559,392")
    yield Row("darts_nasnet_a", load_architecture("darts_nasnet_a"), "none")


def count(row: Row) -> tuple[int, int]:
    """Return parameters and multiply-adds.

    Raises:
        RuntimeError: If torch's own counter disagrees.
    """
    with torch.device("meta"):
        network = build_network(row.architecture, image_size=row.size, **row.settings).eval()
        image = torch.empty(1, 3, row.size, row.size)
    cost = measure(network, 3, row.size)
    with FlopCounterMode(display=False) as counter:
        network(image)
    if counter.get_total_flops() != 2 * cost.multiply_adds:
        raise RuntimeError(f"{row.name}: torch counts {counter.get_total_flops() / 2:,}")
    return cost.parameters, cost.multiply_adds


def main() -> None:
    """Print the table."""
    head = f"{'network':<31}{'pixels':>6}{'parameters':>12}{'multiply-adds':>16}"
    print(f"{head}  the paper's parameters, multiply-adds")
    for row in rows():
        parameters, multiply_adds = count(row)
        figures = f"{row.size:>6}{parameters:>12,}{multiply_adds:>16,}"
        print(f"{row.name:<31}{figures}  {row.paper}", flush=True)


if __name__ == "__main__":
    main()
