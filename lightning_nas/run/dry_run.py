"""``dry_run=true``: what a search would cost, before anything starts."""

import math
import resource
import statistics
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from lightning_nas.methods.enas import ENAS
from lightning_nas.search.estimate import time_steps
from lightning_nas.search.trial_search import TrialSearch

GIB = 2**30
CHILDREN = 3  # that are timed
LONG = 12 * 3600  # seconds of a search that one would rather not run on a CPU


def estimate_cost(method: ENAS | TrialSearch, cfg: DictConfig) -> str:
    """Return the lines that say what a search would need."""
    if isinstance(method, TrialSearch):
        return _rehearse_children(method)
    return _rehearse_steps(method, cfg)


def _rehearse_children(method: TrialSearch) -> str:
    """Time a few batches of a few children, of before, in and after the middle of the search."""
    evaluator: Any = method.evaluator
    lines = {
        "space": _size(method.space_at(method.samples - 1).size),
        "architectures": f"{method.samples:,}",
    }
    if not hasattr(evaluator, "steps_of"):
        lines["whole search"] = "seconds: outcomes are read from a table"
        return _table(lines)
    executor = method.make_executor(evaluator)
    slots = executor.slots
    executor.close()
    if executor.threads and not evaluator.threads:
        torch.set_num_threads(executor.threads)
    apart = max(1, method.samples // CHILDREN)
    proposals = method.propose(range(apart // 2, method.samples, apart)[:CHILDREN])
    children = [evaluator.steps_of(method.architecture(proposal)) for proposal in proposals]
    child = statistics.fmean(child.seconds for child in children)
    first = children[0]
    trainings = method.samples + method.finalists * method.finalist_epochs / first.epochs
    whole = trainings * child
    arithmetic = trainings * statistics.fmean(c.all_multiply_adds for c in children)
    memory = _peak_memory(first.device)
    sizes = sorted(child.parameters for child in children)
    lines |= {
        "a child": f"{_hours(child)}: {first.epochs} epochs of {first.train_batches:,} batches of "
        f"{first.batch_size} images (mean of {len(children)})",
        "parameters": f"{sizes[0]:,} to {sizes[-1]:,}",
        "memory": f"{memory / GIB:.1f} GiB at the peak on {first.device.type}",
        "arithmetic": f"{arithmetic:.1e} multiply-adds, for other hardware than this",
        "whole search": f"{_hours(whole)} of {_hardware(first.device)}",
    }
    if slots > 1:
        lines["side by side"] = f"{_hours(whole / slots)}, {slots} children at once"
    return _table(lines | {"advice": _advice_on_children(whole / slots)})


def _advice_on_children(seconds: float) -> str:
    if seconds > LONG:
        return (
            "children side by side (executor=ray executor.address=HOST:PORT), fewer architectures "
            "(method.samples), shorter trainings (evaluation.epochs) or fewer images"
        )
    return "this will do"


def _size(space: int) -> str:
    return f"10^{math.log10(space):.1f} architectures"


def _table(lines: dict[str, str]) -> str:
    return "\n".join(f"{name:<17}{line}" for name, line in lines.items())


def _rehearse_steps(method: ENAS, cfg: DictConfig) -> str:
    """Time a few steps and return the lines that say what the whole search would need.

    Args:
        method: Of the search; not fit for it afterwards.
        cfg: The configuration of the search.
    """
    trainer = instantiate(cfg.trainer, logger=False, callbacks=[], enable_progress_bar=False)
    device = trainer.strategy.root_device
    trainer.precision_plugin.convert_module(method)
    method.to(device)
    method.trainer = trainer
    method.setup("fit")
    with trainer.precision_plugin.forward_context():
        cost = time_steps(method)
    epochs, samples = cfg.trainer.max_epochs, cfg.callbacks.derive.samples
    seconds = cost.seconds(epochs, 2 * samples)
    memory = _peak_memory(device)
    lines = {
        "space": _size(cost.space),
        "parameters": f"{cost.parameters:,} that are trained",
        **{
            f"{name} step": f"{1e3 * one:,.0f} ms, {times:,} times an epoch"
            for name, (one, times) in cost.steps.items()
        },
        "memory": f"{memory / GIB:.1f} GiB at the peak on {device.type}",
        "whole search": f"{_hours(seconds)} for {epochs} epochs and {2 * samples} ranked "
        f"({samples} of the controller, {samples} at random), on {_hardware(device)}",
        "advice": _advice(device, seconds, memory),
    }
    return _table(lines)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kibibytes on Linux


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 100 * 3600 else f"{seconds / 86400:,.0f} days"


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    return f"{device.type}, threads: {torch.get_num_threads()}"


def _advice(device: torch.device, seconds: float, memory: int) -> str:
    if device.type == "cpu" and seconds > LONG:
        need = math.ceil(memory / GIB)
        return f"a GPU with {need} GiB or more (trainer.accelerator=gpu), or fewer epochs"
    if seconds > LONG:
        return (
            "trainer.precision=bf16-mixed, or more GPUs "
            "(trainer.devices=N trainer.strategy=ddp_find_unused_parameters_true)"
        )
    return "this machine will do"
