"""SGD for shared weights, which are thousands of tensors; a step uses a few hundred of them."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

ALIGNMENT = 128  # bytes


class SharedSGD(Optimizer):
    """SGD with Nesterov momentum, weight decay and clipping on one flat buffer.

    The optimiser moves all weights into one buffer and makes the parameters views of this buffer.
    A step then takes a few operations on one vector, instead of a few operations on each of five
    thousand tensors. If the gradients are not finite, the step does not change the weights. This
    decision is made on the device, without a transfer to the CPU.

    The optimiser notes which parameters ``backward`` reaches, instead of looking at all of them in
    every step. Gradients that other code assigns are seen only if ``backward`` reached no parameter
    since the last ``zero_grad``.

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
        self.starts, size = _lay_out(self.parameters, _find_unit(self.parameters[0]))
        self.flat = self.parameters[0].detach().new_zeros(size)
        torch._foreach_copy_(self._make_views(self.flat), [p.detach() for p in self.parameters])
        # one buffer for all that processes exchange in a step: gradients, and which are used
        self._exchange = self.flat.new_zeros(2 * size if sparse_updates else size)
        self.gradient = self._exchange[:size]
        self.used = self._exchange[size:] if sparse_updates else None
        self._views = self._make_views(self.gradient)
        self._used_views = self._make_views(self.used) if self.used is not None else []
        for parameter, view in zip(self.parameters, self._make_views(self.flat), strict=True):
            parameter.data = view
        self._reached: dict[int, None] = {}  # indices of parameters, in the order of backward
        self._is_gathered = False
        for index, parameter in enumerate(self.parameters):
            parameter.register_post_accumulate_grad_hook(partial(_note, self._reached, index))
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
        if not self._is_gathered:
            self.gather()
        self._is_gathered = False
        if self.used is not None:
            self.used.sign_()  # the mean over processes is a share
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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove the gradients of the parameters that ``backward`` has reached."""
        self._is_gathered = False
        if not (self._reached and set_to_none):
            super().zero_grad(set_to_none)
        else:
            for index in self._reached:
                self.parameters[index].grad = None
        self._reached.clear()

    @torch.no_grad()
    def gather(self) -> Tensor:
        """Copy the gradients into the flat buffer; the next ``step`` uses the buffer.

        Returns:
            The buffer, a vector. Several processes replace it by its mean before ``step``.
        """
        self._exchange.zero_()
        grads = {i: p.grad for i in self._reached if (p := self.parameters[i]).grad is not None}
        if not grads:
            grads = {i: p.grad for i, p in enumerate(self.parameters) if p.grad is not None}
        if grads:
            torch._foreach_copy_([self._views[i] for i in grads], list(grads.values()))
        if grads and self.used is not None:
            torch._foreach_add_([self._used_views[i] for i in grads], 1.0)
        self._is_gathered = True
        return self._exchange

    def state_dict(self) -> dict[str, Any]:
        """Return the state. Its momentum has no gaps, so it fits every device."""
        content = super().state_dict()
        state = content["state"][0]
        parts = self._split(state["momentum_buffer"])
        content["state"] = {0: {**state, "momentum_buffer": torch.cat(parts)}}
        return content

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the result of ``state_dict``."""
        super().load_state_dict(state_dict)
        state = self.state[self.parameters[0]]
        packed, state["momentum_buffer"] = state["momentum_buffer"], torch.zeros_like(self.flat)
        parts = packed.split([parameter.numel() for parameter in self.parameters])
        torch._foreach_copy_(self._split(state["momentum_buffer"]), list(parts))

    def _split(self, flat: Tensor) -> list[Tensor]:
        """Return the part of each parameter in a flat buffer, a vector."""
        pairs = zip(self.starts, self.parameters, strict=True)
        return [flat[start : start + parameter.numel()] for start, parameter in pairs]

    def _make_views(self, flat: Tensor) -> list[Tensor]:
        """Return the parts of a flat buffer in the shapes and strides of the parameters."""
        pairs = zip(self.starts, self.parameters, strict=True)
        first = flat.storage_offset()  # a slice begins in the middle of its storage
        return [flat.as_strided(p.shape, p.stride(), first + start) for start, p in pairs]

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


def _find_unit(parameter: Tensor) -> int:
    """Return the number of elements of which each start in a flat buffer is a multiple.

    On a GPU, fast kernels need aligned weights. On a CPU there are no gaps: they would change the
    order of the sums in the norm, and with it the last digits of every result.
    """
    return 1 if parameter.device.type == "cpu" else ALIGNMENT // parameter.element_size()


def _lay_out(parameters: list[nn.Parameter], unit: int) -> tuple[list[int], int]:
    """Return where each parameter starts in a flat buffer, and the size of the buffer."""
    starts, size = [], 0
    for parameter in parameters:
        starts.append(size)
        size += math.ceil(parameter.numel() / unit) * unit
    return starts, size


def _note(reached: dict[int, None], index: int, parameter: Tensor) -> None:
    reached[index] = None
