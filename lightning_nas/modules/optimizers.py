"""SGD for shared weights, which are thousands of tensors; a step uses a few hundred of them."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class SharedSGD(Optimizer):
    """SGD with Nesterov momentum, weight decay and clipping on one flat buffer.

    The optimiser moves all weights into one buffer and makes the parameters views of this buffer.
    A step then takes a few operations on one vector, instead of a few operations on each of five
    thousand tensors. If the gradients are not finite, the step does not change the weights. This
    decision is made on the device, without a transfer to the CPU.

    Args:
        params: Parameters on one device, in float32 or float64.
        lr: Learning rate.
        momentum: Momentum, in [0, 1].
        weight_decay: Weight decay; twice the factor of an L2 term in the loss.
        nesterov: Whether to use Nesterov momentum.
        clip_norm: Upper bound of the global norm of the gradients before weight decay; None = no
            bound.
        sparse_updates: Whether a step changes only the weights that have a gradient. If false,
            weight decay and momentum also change the other weights, as in the released code of
            ENAS.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        clip_norm: float | None = None,
        sparse_updates: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr})
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.clip_norm = clip_norm
        self.sparse_updates = sparse_updates
        self.parameters: list[nn.Parameter] = [p for g in self.param_groups for p in g["params"]]
        self.flat = torch.cat([_flatten_in_memory_order(p.detach()) for p in self.parameters])
        self.gradient = torch.zeros_like(self.flat)
        self.used = torch.zeros_like(self.flat) if sparse_updates else None
        self._views = _make_views(self.gradient, self.parameters)
        self._used_views = _make_views(self.used, self.parameters) if self.used is not None else []
        for parameter, view in zip(
            self.parameters, _make_views(self.flat, self.parameters), strict=True
        ):
            parameter.data = view
        self.state[self.parameters[0]] = {
            "momentum_buffer": torch.zeros_like(self.flat),
            "skipped": self.flat.new_zeros(()),  # steps whose gradients were not finite
            "in_a_row": self.flat.new_zeros(()),
            "longest_row": self.flat.new_zeros(()),
        }

    @property
    def counters(self) -> dict[str, Tensor]:
        """Tensors ``skipped`` (skipped steps) and ``longest_row`` (most skipped steps in a row)."""
        state = self.state[self.parameters[0]]
        return {"skipped": state["skipped"], "longest_row": state["longest_row"]}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step. A gradient of None counts as zero."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        self._gather()
        norm = self.gradient.norm()
        is_finite = norm.isfinite()
        self._count_skipped(is_finite)
        scale = torch.ones_like(norm)
        if self.clip_norm is not None:
            scale = (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        self.gradient.nan_to_num_(0.0, 0.0, 0.0)  # because 0 * inf is not 0
        self.gradient *= torch.where(is_finite, scale, 0.0)
        self._update(is_finite.to(self.flat.dtype))
        return result

    def _gather(self) -> None:
        """Copy the gradients into the flat buffer."""
        self.gradient.zero_()
        grads = {i: p.grad for i, p in enumerate(self.parameters) if p.grad is not None}
        torch._foreach_copy_([self._views[i] for i in grads], list(grads.values()))
        if self.used is not None:
            self.used.zero_()
            torch._foreach_add_([self._used_views[i] for i in grads], 1.0)

    def _count_skipped(self, is_finite: Tensor) -> None:
        state = self.state[self.parameters[0]]
        is_skipped = 1.0 - is_finite.to(self.flat.dtype)
        state["skipped"] += is_skipped
        state["in_a_row"].copy_((state["in_a_row"] + 1) * is_skipped)
        torch.maximum(state["longest_row"], state["in_a_row"], out=state["longest_row"])

    def _update(self, is_finite: Tensor) -> None:
        """Update in place, without a temporary tensor of the size of the weights.

        Args:
            is_finite: Scalar 1 or 0. With 0 and gradients of zero, the update changes nothing. The
                update multiplies by this scalar, because ``torch.where`` is five times slower.
        """
        buffer, gradient = self.state[self.parameters[0]]["momentum_buffer"], self.gradient
        lr = self.param_groups[0]["lr"]
        applies = is_finite if self.used is None else self.used.mul_(is_finite)
        gradient.addcmul_(self.flat, applies, value=self.weight_decay)
        buffer *= 1.0 - (1.0 - self.momentum) * applies
        buffer += gradient
        if self.nesterov:
            self.flat.add_(gradient, alpha=-lr)
            self.flat.addcmul_(buffer, applies, value=-lr * self.momentum)
        else:
            self.flat.addcmul_(buffer, applies, value=-lr)


def _flatten_in_memory_order(tensor: Tensor) -> Tensor:
    """Return the elements of a dense tensor in memory order, as a view."""
    return tensor.as_strided((tensor.numel(),), (1,))


def _make_views(flat: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return consecutive views of ``flat`` with the shapes and strides of the parameters."""
    views, start = [], 0
    for parameter in parameters:
        views.append(flat.as_strided(parameter.shape, parameter.stride(), start))
        start += parameter.numel()
    return views
