"""Slow and plain reference implementations of the shared networks and of NASNet's network.

They follow the released code and use nothing of ``lightning_nas.layers`` or
``lightning_nas.networks``: functions of images, one architecture and a dictionary of weights, by
the names of the tested network. As in the released code, the shapes of the maps decide which inputs
need a layer that fits them. Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import Cell, CellArchitecture, MacroArchitecture

Weights = Mapping[str, Tensor]


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's parameters by name, with ``requires_grad``."""
    return {
        name: parameter.detach().clone().contiguous().requires_grad_()
        for name, parameter in network.named_parameters()
    }


# ---- parts --------------------------------------------------------------------------------------


def same_pad(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad a square map as TensorFlow's SAME does: an odd pixel goes to the end."""
    size = x.shape[-1]
    windows = (size + stride - 1) // stride
    total = max((windows - 1) * stride + kernel - size, 0)
    before, after = total // 2, total - total // 2
    return F.pad(x, (before, after, before, after), value=value)


def conv(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    return F.conv2d(same_pad(x, weight.shape[-1], stride), weight, stride=stride, groups=groups)


def norm(x: Tensor, weights: Weights, name: str, eps: float = 1e-5) -> Tensor:
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return (x - mean) / (variance + eps).sqrt() * scale[:, None, None] + shift[:, None, None]


def windows(x: Tensor, stride: int, value: float, kernel: int = 3) -> Tensor:
    """Return all windows of a map, ``(N, C, H', W', kernel * kernel)``."""
    padded = same_pad(x, kernel, stride, value)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(-2)


def average_pool(x: Tensor, stride: int) -> Tensor:
    return windows(x, stride, 0.0).sum(-1) / windows(torch.ones_like(x), stride, 0.0).sum(-1)


def max_pool(x: Tensor, stride: int, kernel: int = 3) -> Tensor:
    return windows(x, stride, float("-inf"), kernel).max(-1).values


def factorized_reduction(x: Tensor, weights: Weights, name: str) -> Tensor:
    path_1 = x[:, :, ::2, ::2]
    path_2 = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:][:, :, ::2, ::2]
    halves = [conv(path_1, weights[f"{name}.path_1.weight"])]
    halves.append(conv(path_2, weights[f"{name}.path_2.weight"]))
    return norm(torch.cat(halves, dim=1), weights, f"{name}.norm")


def stem(images: Tensor, weights: Weights) -> Tensor:
    return norm(conv(images, weights["stem.0.weight"]), weights, "stem.1")


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """Return the product of the globally averaged map and ``weight``."""
    return x.flatten(2).mean(-1) @ weight.t()


# ---- cells --------------------------------------------------------------------------------------


def cell_operation(x: Tensor, weights: Weights, name: str, operation: str, stride: int) -> Tensor:
    if operation == "avg_pool_3x3":
        return average_pool(x, stride)
    if operation == "max_pool_3x3":
        return max_pool(x, stride)
    if operation == "identity":
        return x if stride == 1 else factorized_reduction(x, weights, f"{name}.identity")
    for stack in (1, 2):
        depthwise = weights[f"{name}.{operation}.depthwise_{stack}.weight"]
        pointwise = weights[f"{name}.{operation}.pointwise_{stack}.weight"]
        x = conv(F.relu(x), depthwise, stride if stack == 1 else 1, groups=len(depthwise))
        x = norm(conv(x, pointwise), weights, f"{name}.{operation}.norm_{stack}")
    return x


def relu_conv_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    return norm(conv(F.relu(x), weights[f"{name}.conv.weight"]), weights, f"{name}.norm")


def fit_inputs(older: Tensor, newer: Tensor, weights: Weights, name: str) -> list[Tensor]:
    filters = len(weights[f"{name}.norm.weight"])
    if older.shape[-1] != newer.shape[-1]:
        older = factorized_reduction(F.relu(older), weights, f"{name}.older.1")
    elif older.shape[1] != filters:
        older = relu_conv_norm(older, weights, f"{name}.older")
    if newer.shape[1] != filters:
        newer = relu_conv_norm(newer, weights, f"{name}.newer")
    return [older, newer]


def run_cell(
    older: Tensor, newer: Tensor, cell: Cell, weights: Weights, name: str, stride: int
) -> Tensor:
    states = fit_inputs(older, newer, weights, name)
    read = set()
    for index, block in enumerate(cell.blocks):
        results = []
        for side, (state, operation) in enumerate(zip(block.inputs, block.operations, strict=True)):
            x = torch.stack(states)[state] if stride == 1 else states[state]
            edge = f"{name}.blocks.{index}.{side}.{state}"
            results.append(cell_operation(x, weights, edge, operation, stride if state < 2 else 1))
            read.add(state)
        states.append(results[0] + results[1])
    unused = [state for state in range(len(states)) if state not in read]
    if stride == 2:
        for state in {0, 1} & set(unused):
            reduced = factorized_reduction(states[state], weights, f"{name}.halve_outputs.{state}")
            states[state] = reduced
    joined = torch.cat([states[state] for state in unused], dim=1)
    kernel = torch.cat([weights[f"{name}.outputs.{state}.weight"] for state in unused], dim=1)
    return norm(conv(F.relu(joined), kernel), weights, f"{name}.norm")


def auxiliary(x: Tensor, weights: Weights) -> Tensor:
    x = F.relu(x).unfold(2, 5, 3).unfold(3, 5, 3).mean(dim=(-1, -2))
    x = F.relu(norm(conv(x, weights["auxiliary.project.weight"]), weights, "auxiliary.norm_1"))
    x = F.relu(norm(conv(x, weights["auxiliary.conv.weight"]), weights, "auxiliary.norm_2"))
    return linear(x, weights["auxiliary.linear.weight"])


def cell_network(
    images: Tensor, architecture: CellArchitecture, weights: Weights, cells: int, reduction: str
) -> tuple[Tensor, Tensor | None]:
    """Return logits and auxiliary logits, or None without an auxiliary head in ``weights``.

    Args:
        images: Batch of images.
        architecture: Architecture to run.
        weights: Weights by name, from ``copy_weights``.
        cells: Number of normal cells in a stack.
        reduction: ``strided`` or ``factorized``.
    """
    x = stem(images, weights)
    layers = [x, x]
    auxiliary_logits = None
    for index in range(3 * cells + 2):
        reduces = index in (cells, 2 * cells + 1)
        if reduces and reduction == "factorized":
            x = factorized_reduction(x, weights, f"halvings.{index}")
            layers = [layers[-1], x]
        cell = architecture.reduction if reduces else architecture.normal
        stride = 2 if reduces and reduction == "strided" else 1
        x = run_cell(layers[0], layers[1], cell, weights, f"cells.{index}", stride)
        layers = [layers[-1], x]
        if index == 2 * cells + 2 and "auxiliary.linear.weight" in weights:
            auxiliary_logits = auxiliary(x, weights)
    return linear(F.relu(x), weights["classifier.linear.weight"]), auxiliary_logits


# ---- NASNet -------------------------------------------------------------------------------------


def padded_conv(x: Tensor, weight: Tensor, down: int, across: int, dilation: int = 1) -> Tensor:
    """Return a convolution with SAME padding for windows that are not square."""
    pads: list[int] = []
    for size, kernel, stride in zip(
        x.shape[:1:-1], weight.shape[:1:-1], (across, down), strict=True
    ):
        reach = (kernel - 1) * dilation + 1
        total = max(((size + stride - 1) // stride - 1) * stride + reach - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=(down, across), dilation=dilation)


def nasnet_operation(
    x: Tensor, weights: Weights, name: str, operation: str, stride: int, filters: int
) -> Tensor:
    def conv_norm(x: Tensor, part: str, down: int, across: int, dilation: int = 1) -> Tensor:
        weight = weights[f"{name}.{part}conv.weight"]
        x = padded_conv(x, weight, down, across, dilation)
        return norm(x, weights, f"{name}.{part}norm")

    if operation == "identity" and stride == 1 and x.shape[1] == filters:
        return x
    kind = operation.split("_")[0]
    if kind in ("avg", "max"):
        kernel = int(operation[-1])
        x = average_pool(x, stride) if kind == "avg" else max_pool(x, stride, kernel)
        return x if x.shape[1] == filters else conv_norm(x, "1.", 1, 1)
    x = F.relu(x)
    if kind == "sep":
        for stack in (1, 2):
            depthwise = weights[f"{name}.depthwise_{stack}.weight"]
            x = conv(F.relu(x), depthwise, stride if stack == 1 else 1, groups=len(depthwise))
            x = conv(x, weights[f"{name}.pointwise_{stack}.weight"])
            x = norm(x, weights, f"{name}.norm_{stack}")
        return x
    if operation in ("conv_1x3_3x1", "conv_1x7_7x1"):
        return conv_norm(F.relu(conv_norm(x, "0.", 1, stride)), "1.", stride, 1)
    return conv_norm(x, "", stride, stride, 2 if kind == "dil" else 1)


def nasnet_cell(
    older: Tensor | None, newer: Tensor, cell: Cell, weights: Weights, name: str, stride: int
) -> Tensor:
    """Return the output of a cell; if ``older`` is None, input 0 is ``newer`` without a layer."""
    base = relu_conv_norm(newer, weights, f"{name}.base")
    filters = base.shape[1]
    if older is None:
        older = newer
    elif older.shape[-1] != newer.shape[-1]:
        older = factorized_reduction(F.relu(older), weights, f"{name}.older.1")
    elif older.shape[1] != filters:
        older = relu_conv_norm(older, weights, f"{name}.older")
    states = [older, base]
    for index, block in enumerate(cell.blocks):
        results = []
        for side, (state, operation) in enumerate(zip(block.inputs, block.operations, strict=True)):
            step = stride if state < 2 else 1
            edge = f"{name}.operations.{index}.{side}"
            results.append(nasnet_operation(states[state], weights, edge, operation, step, filters))
        states.append(torch.cat(results, 1) if block.combination == "concat" else sum(results))
    outputs = []
    for state in cell.outputs:
        x, fit = states[state], f"{name}.fit_outputs.{state}"
        if x.shape[-1] != states[-1].shape[-1]:
            x = factorized_reduction(x, weights, fit)
        elif x.shape[1] != filters:
            x = norm(conv(x, weights[f"{fit}.conv.weight"]), weights, f"{fit}.norm")
        outputs.append(x)
    return torch.cat(outputs, dim=1)


def nasnet_auxiliary(x: Tensor, weights: Weights) -> Tensor:
    x = F.relu(x).unfold(2, 5, 3).unfold(3, 5, 3).mean(dim=(-1, -2))
    x = F.relu(norm(conv(x, weights["auxiliary.project.weight"]), weights, "auxiliary.norm_1"))
    x = torch.einsum("nchw,kchw->nk", x, weights["auxiliary.conv.weight"])[:, :, None, None]
    x = F.relu(norm(x, weights, "auxiliary.norm_2"))
    return linear(x, weights["auxiliary.linear.weight"]) + weights["auxiliary.linear.bias"]


def nasnet(
    images: Tensor, architecture: CellArchitecture, weights: Weights, cells: int
) -> tuple[Tensor, Tensor | None]:
    """Return logits and auxiliary logits, or None without an auxiliary head in ``weights``."""
    x = stem(images, weights)
    layers: list[Tensor | None] = [None, x]
    auxiliary_logits = None
    index = 0
    for number in range(3 * cells):
        if number in (cells, 2 * cells):
            x = nasnet_cell(layers[-2], x, architecture.reduction, weights, f"cells.{index}", 2)
            layers.append(x)
            index += 1
        x = nasnet_cell(layers[-2], x, architecture.normal, weights, f"cells.{index}", 1)
        layers.append(x)
        index += 1
        if number == 2 * cells - 1 and "auxiliary.linear.weight" in weights:
            auxiliary_logits = nasnet_auxiliary(x, weights)
    logits = linear(F.relu(x), weights["classifier.linear.weight"])
    return logits + weights["classifier.linear.bias"], auxiliary_logits


# ---- macro --------------------------------------------------------------------------------------


def macro_operation(x: Tensor, operation: str, weights: Weights, name: str) -> Tensor:
    x = F.relu(norm(conv(x, weights[f"{name}.conv.weight"]), weights, f"{name}.norm"))
    if operation == "avg_pool_3x3":
        return average_pool(x, 1)
    if operation == "max_pool_3x3":
        return max_pool(x, 1)
    if operation.startswith("sep_"):
        depthwise = weights[f"{name}.operation.0.weight"]
        x = conv(x, depthwise, groups=len(depthwise))
        x = conv(x, weights[f"{name}.operation.1.weight"])
    else:
        x = conv(x, weights[f"{name}.operation.weight"])
    return F.relu(norm(x, weights, f"{name}.norm_after", eps=1e-3))


def macro_network(images: Tensor, architecture: MacroArchitecture, weights: Weights) -> Tensor:
    """Return logits; each pooling halves all earlier outputs, even those that no layer reads."""
    layers = [stem(images, weights)]
    total = len(architecture.layers)
    for index, layer in enumerate(architecture.layers):
        name = f"layers.{index}.branches.{layer.operation}"
        out = macro_operation(layers[-1], layer.operation, weights, name)
        if index > 0:
            skips = [layers[j] for j in range(index) if j in layer.skips]
            out = norm(torch.stack([*skips, out]).sum(0), weights, f"layers.{index}.norm")
        layers.append(out)
        if index in (total // 3 - 1, 2 * (total // 3) - 1):
            layers = [
                factorized_reduction(earlier, weights, f"halvings.{index}.{j}")
                for j, earlier in enumerate(layers)
            ]
    return linear(layers[-1], weights["classifier.linear.weight"])
