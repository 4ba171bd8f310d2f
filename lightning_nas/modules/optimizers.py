"""Momentum SGD for shared weights: thousands of tensors, of which a step uses a few hundred."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class SharedSGD(Optimizer):
    """SGD with Nesterov momentum, weight decay and clipping on one flat buffer.

    The weights are moved into one buffer; the parameters become views of it. A step then costs a
    few operations on one vector instead of a few operations on each of five thousand tensors. A
    step with gradients that are not finite changes nothing; the device decides this without a
    read-back.

    Args:
        params: Parameters, all on one device, in float32 or float64.
        lr: Learning rate.
        momentum: Momentum, in [0, 1].
        weight_decay: L2 decay (twice the factor of an L2 loss term).
        nesterov: Whether to use Nesterov momentum.
        clip_norm: Upper bound of the global gradient norm, before decay is added; None = no bound.
        sparse_updates: Whether weights that a step does not use stay unchanged. If false, decay and
            momentum also apply to unused weights, as in the released code of ENAS.
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
        self.flat = torch.cat([_storage_order(p.detach()) for p in self.parameters])
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
        """Number of ``skipped`` steps and the ``longest_row`` of them, as tensors on the device."""
        state = self.state[self.parameters[0]]
        return {"skipped": state["skipped"], "longest_row": state["longest_row"]}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step. A gradient that is None counts as zero."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        self._gather()
        norm = self.gradient.norm()
        finite = norm.isfinite()
        self._count(finite)
        scale = torch.ones_like(norm)
        if self.clip_norm is not None:
            scale = (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        self.gradient.nan_to_num_(0.0, 0.0, 0.0)  # because 0 * inf is not 0
        self.gradient *= torch.where(finite, scale, 0.0)
        self._update(finite.to(self.flat.dtype))
        return result

    def _gather(self) -> None:
        """Copy the gradients into the flat buffer."""
        self.gradient.zero_()
        grads = {i: p.grad for i, p in enumerate(self.parameters) if p.grad is not None}
        torch._foreach_copy_([self._views[i] for i in grads], list(grads.values()))
        if self.used is not None:
            self.used.zero_()
            torch._foreach_add_([self._used_views[i] for i in grads], 1.0)

    def _count(self, finite: Tensor) -> None:
        state = self.state[self.parameters[0]]
        failed = 1.0 - finite.to(self.flat.dtype)
        state["skipped"] += failed
        state["in_a_row"].copy_((state["in_a_row"] + 1) * failed)
        torch.maximum(state["longest_row"], state["in_a_row"], out=state["longest_row"])

    def _update(self, finite: Tensor) -> None:
        """Update in place, without a temporary tensor of the size of the weights.

        Args:
            finite: Scalar: 1 takes the step; 0, with gradients of zero, changes nothing. The update
                multiplies by it, because ``torch.where`` is five times slower.
        """
        buffer, gradient = self.state[self.parameters[0]]["momentum_buffer"], self.gradient
        lr = self.param_groups[0]["lr"]
        applies = finite if self.used is None else self.used.mul_(finite)
        gradient.addcmul_(self.flat, applies, value=self.weight_decay)
        buffer *= 1.0 - (1.0 - self.momentum) * applies
        buffer += gradient
        if self.nesterov:
            self.flat.add_(gradient, alpha=-lr)
            self.flat.addcmul_(buffer, applies, value=-lr * self.momentum)
        else:
            self.flat.addcmul_(buffer, applies, value=-lr)


def _storage_order(tensor: Tensor) -> Tensor:
    """Return the elements of a dense tensor in the order of the memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def _make_views(flat: Tensor, like: list[nn.Parameter]) -> list[Tensor]:
    """Return views of consecutive parts of ``flat`` with the shapes and strides of parameters."""
    views, start = [], 0
    for parameter in like:
        views.append(flat.as_strided(parameter.shape, parameter.stride(), start))
        start += parameter.numel()
    return views
