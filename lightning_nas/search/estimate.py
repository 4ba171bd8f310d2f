"""What a search by ENAS would cost: a few steps of each kind, timed on the Trainer's device."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.methods.enas import ENAS
from lightning_nas.search.result import Estimate


def time_steps(method: ENAS, repeats: int = 3) -> Estimate:
    """Time a few steps of each kind, the first left out.

    The controller's own update, small beside the scoring, is left out. The shared weights move;
    the module is not fit for a search afterwards.

    Args:
        method: Attached to a Trainer and set up.
        repeats: Steps of each kind.
    """
    supernet, controller = method.supernet, method.controller
    optimizer = supernet.configure_optimizers()["optimizer"]
    epoch, validation = method.train_dataloader(), method.val_dataloader()
    method.take_calibration_images()
    train: tuple[Tensor, Tensor] = method.cast(next(iter(epoch.weights)))
    held_out: tuple[Tensor, Tensor] = method.cast(next(iter(epoch.controller)))
    validated: tuple[Tensor, Tensor] = method.cast(next(iter(validation)))

    def weights_step() -> None:
        loss, _ = supernet.loss(*train, controller.sample(1)[1][0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def control_step() -> None:
        supernet.score(*held_out, method.control.sample(0, 0, 0)[1])

    def controller_step() -> None:
        rollout, architectures = controller.sample(controller.samples)
        controller.loss(rollout, supernet.score(*held_out, architectures))

    def validation_step() -> None:
        supernet.score(*validated, controller.sample(1)[1])

    steps: dict[str, tuple[Callable[[], None], int]] = {
        "weights": (weights_step, len(epoch.weights)),
        "control": (control_step, method.control_steps),
        "controller": (controller_step, method.controller_steps),
        "validation": (validation_step, len(validation)),
    }
    timed = {
        name: (_seconds_of(step, repeats, method.device), times)
        for name, (step, times) in steps.items()
        if times
    }
    return Estimate(
        space=controller.space.size,
        parameters=sum(parameter.numel() for parameter in method.parameters()),
        steps=timed,
        deriving=math.prod(timed["validation"]),
    )


def _seconds_of(step: Callable[[], None], repeats: int, device: torch.device) -> float:
    for index in range(1 + repeats):
        if index == 1:  # the first has set up what the others find
            began = synchronised_time(device)
        step()
    return (synchronised_time(device) - began) / repeats
