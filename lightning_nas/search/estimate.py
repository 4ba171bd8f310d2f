"""The cost of a search, estimated from a few timed steps or children: the lines of a dry run."""

import math
import resource
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import torch
from torch import Tensor

from lightning_nas.evaluation.child_steps import ChildSteps
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.evaluation.rungs import Rungs
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.search.finalists import Finalists
from lightning_nas.search.samples import RandomArm

GIB = 2**30
LONG = 12 * 3600  # seconds after which the dry run advises other hardware or a smaller search
REPEATS = 3  # timed repetitions of a step

Batch = tuple[Tensor, Tensor]  # images, labels
Timing = tuple[float, int]  # seconds of a step, steps in an epoch


def list_steps(
    supernet: SupernetModule,
    controller: ControllerModule,
    random_arm: RandomArm,
    train: Batch,
    held_out: Batch,
    validated: Batch,
) -> dict[str, Callable[[], None]]:
    """Return the steps of a search with shared weights, by name. The shared weights change.

    Args:
        supernet: Shared weights.
        controller: Controller; its own short update is left out.
        random_arm: Random arm.
        train: Batch of the training split.
        held_out: Batch of a controller step.
        validated: Batch of the validation split.
    """
    optimizer = supernet.configure_optimizers()["optimizer"]
    # a search samples many architectures at once for these steps
    sampled = cycle(controller.sample(4 * REPEATS)[1])

    def weights_step() -> None:
        loss, _ = supernet.loss(*train, next(sampled))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def random_step() -> None:
        supernet.score(*held_out, random_arm.sample(0, 0, 0)[1])

    def controller_step() -> None:
        rollout, architectures = controller.sample(controller.samples)
        controller.loss(rollout, supernet.score(*held_out, architectures))

    def validation_step() -> None:
        supernet.score(*validated, [next(sampled)])

    return {
        "weights": weights_step,
        "control": random_step,
        "controller": controller_step,
        "validation": validation_step,
    }


def time_steps(
    steps: Mapping[str, Callable[[], None]], counts: Sequence[int], device: torch.device
) -> dict[str, Timing]:
    """Time steps of each kind, after one step that is not timed.

    Args:
        steps: Step of each kind, by name.
        counts: Number of steps of each kind in an epoch. A kind with 0 steps is left out.
        device: Device of the steps.
    """
    kinds = zip(steps.items(), counts, strict=True)
    return {name: (_time_step(step, device), count) for (name, step), count in kinds if count}


def time_precisions(
    step: Callable[[], None], device: torch.device, precision: str
) -> dict[str, float]:
    """Return the seconds of a weights step in each precision, by the name of the precision.

    The result is empty for a CPU, where bfloat16 is slow, and for weights that are not in float32.

    Args:
        step: Weights step.
        device: Device of the step.
        precision: Precision of the Trainer.
    """
    if device.type == "cpu" or precision not in ("32-true", "bf16-mixed"):
        return {}
    seconds = {}
    for name, is_half in (("32-true", False), ("bf16-mixed", True)):
        with torch.autocast(device.type, torch.bfloat16, enabled=is_half, cache_enabled=False):
            seconds[name] = _time_step(step, device)
    return seconds


def _time_step(step: Callable[[], None], device: torch.device) -> float:
    step()  # the first step allocates memory and compiles kernels
    began = synchronised_time(device)
    for _ in range(REPEATS):
        step()
    return (synchronised_time(device) - began) / REPEATS


def estimate_epochs(
    timings: Mapping[str, Timing],
    precisions: Mapping[str, float],
    epochs: int,
    samples: int,
    device: torch.device,
) -> dict[str, str]:
    """Return the lines of a search with shared weights.

    Args:
        timings: Result of ``time_steps``, with the kind "validation".
        precisions: Result of ``time_precisions``.
        epochs: Number of epochs.
        samples: Number of architectures to sample and rank at the end; the random arm has as many.
        device: Device of the search.
    """
    epoch = sum(seconds * count for seconds, count in timings.values())
    seconds = epochs * epoch + 2 * samples * math.prod(timings["validation"])
    memory = _measure_peak_memory(device)
    steps = {
        f"{name} step": f"{1e3 * one:,.0f} ms, {count:,} times an epoch"
        for name, (one, count) in timings.items()
    }
    fastest = min(precisions, key=precisions.__getitem__, default="bf16-mixed")
    if precisions:
        times = ", ".join(f"{name} {1e3 * one:,.1f} ms" for name, one in precisions.items())
        steps["precision"] = f"trainer.precision={fastest} is fastest (weights step: {times})"
    return {
        **steps,
        "memory": f"{memory / GIB:.1f} GiB at the peak on {device.type}",
        "whole search": f"{format_duration(seconds)} for {epochs} epochs and {2 * samples} ranked "
        f"({samples} of the controller, {samples} at random), on {_describe_hardware(device)}",
        "advice": _advise_on_epochs(device, seconds, memory, fastest),
    }


def estimate_children(
    children: Sequence[ChildSteps], slots: int, samples: int, finalists: Finalists, rungs: Rungs
) -> dict[str, str]:
    """Return the lines of a search by trials.

    Args:
        children: Costs of a few children.
        slots: Number of children that train at once.
        samples: Number of children in the search.
        finalists: Number of finalists and their trainings.
        rungs: Rungs of the children.
    """
    child = statistics.fmean(child.seconds for child in children)
    first = children[0]
    share = rungs.expect_epochs(first.epochs) / first.epochs
    trainings = samples * share + finalists.trainings * finalists.epochs / first.epochs
    seconds = trainings * child
    arithmetic = trainings * statistics.fmean(c.all_multiply_adds for c in children)
    memory = _measure_peak_memory(first.device)
    sizes = sorted(child.parameters for child in children)
    lines = {
        "a child": f"{format_duration(child)}: {first.epochs} epochs of {first.train_batches:,} "
        f"batches of {first.batch_size} images (mean of {len(children)})",
        "parameters": f"{sizes[0]:,} to {sizes[-1]:,}",
        "memory": f"{memory / GIB:.1f} GiB at the peak on {first.device.type}",
        "arithmetic": f"{arithmetic:.1e} multiply-adds, to estimate the time on other hardware",
        "whole search": f"{format_duration(seconds)} of {_describe_hardware(first.device)}",
    }
    if rungs.epochs:
        stops = ", ".join(map(str, rungs.epochs))
        lines["early stopping"] = f"after epochs {stops}: about {share:.0%} of all epochs"
    if slots > 1:
        seconds /= slots
        lines["side by side"] = f"{format_duration(seconds)}, {slots} children at once"
    return lines | {"advice": _advise_on_children(seconds)}


def format_size(size: int) -> str:
    """Return the size of a search space as a power of ten."""
    return f"10^{math.log10(size):.1f} architectures"


def format_duration(seconds: float) -> str:
    """Return a duration in a unit that suits its length.

    >>> format_duration(90), format_duration(1800), format_duration(36000)
    ('90 seconds', '30 minutes', '10.0 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 100 * 3600 else f"{seconds / 86400:,.0f} days"


def _measure_peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kibibytes on Linux


def _describe_hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    return f"{device.type}, threads: {torch.get_num_threads()}"


def _advise_on_epochs(device: torch.device, seconds: float, memory: int, precision: str) -> str:
    if seconds <= LONG:
        return "this machine is fast enough"
    if device.type == "cpu":
        need = math.ceil(memory / GIB)
        return f"use a GPU with {need} GiB or more (trainer.accelerator=gpu), or fewer epochs"
    return f"use trainer.precision={precision}, or more GPUs (trainer.devices=N, without finalists)"


def _advise_on_children(seconds: float) -> str:
    if seconds <= LONG:
        return "this machine is fast enough"
    return (
        "train children side by side (executor=ray executor.address=HOST:PORT), or use fewer "
        "architectures (method.samples), shorter trainings (evaluation.epochs) or fewer images"
    )
