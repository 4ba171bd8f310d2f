"""The files of an export that say how to use the others: ``README.md`` and ``classify.py``."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from lightning_nas.errors import list_some
from lightning_nas.weights.blueprint import Blueprint

MOST_CLASSES = 20  # named in README.md
MODES = {1: "L", 3: "RGB"}  # PIL's name of images with this number of channels
HEAD = """# A network that tells {classes} classes apart

Classes: {names}. `model.json` describes the network and its images: names of the classes, side,
channels, mean and standard deviation.

Every format takes float32 images `(N, {channels}, {side}, {side})`, where a pixel in [0, 1] is
normalised as `(pixel - mean) / std`, and returns logits `(N, {classes})`. N is free.

- mean: {mean}
- std: {std}
"""
USES = {
    "python": """
## model.py

A file that needs torch alone, with its weights in `model_weights.pt`:

```python
import torch
from model import load

network = load()  # in evaluation mode
logits = network(torch.zeros(1, {channels}, {side}, {side}))
```
""",
    "onnx": """
## model.onnx

`python classify.py IMAGE...` names the three most likely classes of images. It needs numpy, pillow
and onnxruntime. In your code:

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
images = np.zeros((1, {channels}, {side}, {side}), np.float32)
(logits,) = session.run(None, {{"images": images}})
```

The metadata of the file hold what `model.json` says of the images, each value as JSON.
""",
    "torch": """
## model.pt2

```python
import torch

network = torch.export.load("model.pt2").module()
logits = network(torch.zeros(1, {channels}, {side}, {side}))
```
""",
    "safetensors": """
## model.safetensors

The weights, for lightning_nas: `python train.py mode=predict weights=model.safetensors images=DIR`.
In your code, the network as a backbone for detection and segmentation, without its classifier:

```python
from pathlib import Path

import torch
from lightning_nas.weights.load import load_weights, read_weights

weights = read_weights("model.safetensors", Path())
backbone = weights.require_blueprint().build(features_only=True)
load_weights(backbone.network, weights, new_head=True)
maps = backbone(torch.zeros(2, {channels}, {side}, {side}))  # largest first
print(backbone.feature_info.channels(), backbone.feature_info.reduction())
```
""",
}
FREE_SIDES = """
Other heights and widths work too: {sides}, ... pixels ({step} pixels apart); the metadata call
them `sides` (the smallest, the step). The logits of any other size are undefined. The network was
trained on {side} pixels; measure its accuracy on other sizes before you use them.
"""


def write_readme(
    blueprint: Blueprint, formats: Sequence[str], sides: tuple[int, int] | None = None
) -> str:
    """Return the text of ``README.md``: what the network takes and how to load each format.

    Args:
        blueprint: Description of the network.
        formats: Names of the formats.
        sides: Smallest height and width of ``model.onnx`` and the step between two of them, in
            pixels; None = fixed.
    """
    facts: dict[str, Any] = {
        "classes": blueprint.num_classes,
        "names": list_some(blueprint.classes, MOST_CLASSES),
        "channels": blueprint.channels,
        "side": blueprint.image_size,
        "mean": list(blueprint.mean),
        "std": list(blueprint.std),
    }
    texts = {"": HEAD} | {name: USES[name] for name in formats}
    if sides is not None:
        smallest, step = sides
        facts |= {"sides": f"{smallest}, {smallest + step}, {smallest + 2 * step}", "step": step}
        texts["onnx"] += FREE_SIDES
    return "".join(text.format(**facts) for text in texts.values())


def read_classify_script() -> str:
    """Return the text of ``classify.py``, which runs ``model.onnx`` without this project."""
    return (resources.files("lightning_nas.export") / "templates/classify.py.txt").read_text()
