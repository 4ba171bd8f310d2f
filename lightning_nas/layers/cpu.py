"""Replacements for torch functions that are slow on a CPU in channels_last layout; same results.

Each replacement has a condition function. Where the condition is false, above all on a GPU, torch's
own function is as fast or faster. ``python -m benchmarks.layers`` measures both.
Shapes: ``(N, C, H, W)``, channels_last.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

VECTOR = 8  # channels that torch's batch norm computes at once
FOLDED = 16  # channels that FoldedBatchNorm gives to torch's, a multiple of VECTOR
LARGE_MAP, SMALL_MAP = 16, 8  # sides in pixels


def here(x: Tensor) -> bool:
    """Return whether ``x`` is on a CPU and not traced: a traced network must run on any device."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def may_run(x: Tensor) -> bool:
    """Return whether the computation on ``x`` may run on a CPU, now or after it is traced."""
    return x.device.type == "cpu" or torch.compiler.is_compiling()


def _plain(x: Tensor) -> bool:
    return here(x) and not torch.is_autocast_enabled("cpu")


def can_fold(x: Tensor) -> bool:
    """Return whether ``FoldedBatchNorm`` supports ``x`` and is faster than torch."""
    channels, side = x.shape[1], x.shape[3]
    return (
        channels % VECTOR != 0
        and side >= LARGE_MAP
        and _plain(x)
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() % (channels * FOLDED) == 0
    )


class FoldedBatchNorm(torch.autograd.Function):
    """Batch norm with the statistics of the batch, 1.4 to 2.3 times as fast as torch.

    Torch is slow if the number of channels is no multiple of its vector length. This function views
    neighbouring pixels as more channels and combines their statistics afterwards.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """Return the normalised ``x``."""
        channels = x.shape[1]
        fold = FOLDED // math.gcd(channels, FOLDED)
        mean, variance = torch.ops.aten.batch_norm_update_stats(_fold(x, fold), None, None, 0.1)
        mean, variance = mean.view(fold, channels), variance.view(fold, channels)
        variance = (variance + (mean - mean.mean(0)).square()).mean(0)
        mean = mean.mean(0)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.fold = eps, fold
        vectors = (vector.repeat(fold) for vector in (weight, bias, mean, variance))
        out, _, _ = torch.ops.aten.native_batch_norm(_fold(x, fold), *vectors, False, 0.0, eps)
        return _unfold(out, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of ``x``, weight and bias."""
        x, weight, mean, variance = ctx.saved_tensors
        fold, pixels = ctx.fold, x.numel() // x.shape[1]
        folded_x = _fold(x, fold)
        folded_grad = _fold(grad.contiguous(memory_format=torch.channels_last), fold)
        vectors = [vector.repeat(fold) for vector in (weight, mean, variance)]
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            folded_grad, folded_x, *vectors, None, None, False, ctx.eps, [False, True, True]
        )
        grad_weight = grad_weight.view(fold, -1).sum(0)
        grad_bias = grad_bias.view(fold, -1).sum(0)
        # grad_x = weight / std * (grad - mean(grad) - normalised_x * mean(grad * normalised_x)),
        # written as a * grad + b * x + c
        inverse_std = (variance + ctx.eps).rsqrt()
        a = weight * inverse_std
        b = -a * inverse_std * grad_weight / pixels
        c = -a * grad_bias / pixels - b * mean
        grad_x = torch.addcmul(c.repeat(fold), folded_grad, a.repeat(fold))
        return _unfold(grad_x.addcmul_(folded_x, b.repeat(fold)), x), grad_weight, grad_bias, None


def _fold(x: Tensor, fold: int) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1, fold * x.shape[1])


def _unfold(x: Tensor, like: Tensor) -> Tensor:
    n, channels, height, width = like.shape
    return x.view(n, height, width, channels).permute(0, 3, 1, 2)


def can_split(x: Tensor, weight: Tensor) -> bool:
    """Return whether ``Depthwise5x5`` supports ``x`` and is faster than torch."""
    return weight.shape[1:] == (1, 5, 5) and x.shape[3] > SMALL_MAP and _plain(x)


class Depthwise5x5(torch.autograd.Function):
    """5x5 depthwise convolution with SAME padding and a faster gradient of the weights.

    Torch is slow for the gradient of a window with five columns, so it is computed from two windows
    with three columns each.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Return the convolution of ``x``."""
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=2, groups=weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of ``x`` and weight."""
        x, weight = ctx.saved_tensors

        def gradient(x: Tensor, weight: Tensor, padding: list[int], wanted: list[bool]) -> Any:
            return torch.ops.aten.convolution_backward(
                grad, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], len(weight), wanted
            )

        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x, _, _ = gradient(x, weight, [2, 2], [True, False, False])
        columns = weight[..., :3]
        _, left, _ = gradient(F.pad(x, (2, 0)), columns, [2, 0], [False, True, False])
        _, right, _ = gradient(F.pad(x, (0, 2)), columns, [2, 0], [False, True, False])
        return grad_x, torch.cat([left, right[..., 1:]], dim=-1)


def is_small(x: Tensor) -> bool:
    """Return whether ``pointwise`` is faster than torch, whose setup dominates on small maps."""
    return x.shape[3] <= SMALL_MAP and here(x)


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """Return a 1x1 convolution as a matrix product: up to twice as fast on small maps."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
    return F.linear(rows, weight.flatten(1)).view(n, height, width, -1).permute(0, 3, 1, 2)


def average_pool(x: Tensor) -> Tensor:
    """Return the average over the valid pixels of each 3x3 window, with stride 1.

    A depthwise convolution is three times as fast as torch's pooling.
    """
    channels, height, width = x.shape[1:]
    kernel = x.new_full((1, 1, 3, 3), 1 / 9).expand(channels, 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=channels) * _border_scale(height, width, x)


def _border_scale(height: int, width: int, like: Tensor) -> Tensor:
    """Return ``(H, W)`` factors that turn means over nine pixels into means over valid ones."""

    def axis_scale(size: int) -> Tensor:
        valid = like.new_full((size,), 3.0)
        valid[0] -= 1
        valid[-1] -= 1
        return 3 / valid

    return axis_scale(height)[:, None] * axis_scale(width)[None, :]
