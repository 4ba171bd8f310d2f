"""Milliseconds for twenty architectures of the LSTM controller: to draw them, to learn from them.

Drawing: ENAS's controller, in one batch and one by one. Learning: one gradient step of a search
whose children train alone: scoring, loss, backward pass, Adam; NASNet takes four on each batch.
Goal: less than 50 ms on one thread for NASNet's 50 decisions.

    python -m benchmarks.controller --threads 1
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.machine import parse
from lightning_nas.architecture import COMBINATIONS, NASNET_OPERATIONS
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.policy.ppo import ppo_loss
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.macro import MacroSpace

ARCHITECTURES, HIDDEN, WARM_UP = 20, 64, 2
DRAWN: dict[str, Space] = {"micro": CellSpace(blocks=5), "macro": MacroSpace(layers=12)}
LEARNT: dict[str, tuple[Space, dict[str, Any]]] = {
    "NAS": (ChainSpace(layers=15), {"hidden": 35, "layers": 2, "skips": "sigmoid"}),
    "NASNet": (
        CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet"),
        {"hidden": 100, "picks": "softmax"},
    ),
}


def median_milliseconds(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median time of a call, with all work that it queued."""
    times = []
    for _ in range(WARM_UP + repeats):
        start = synchronised_time(device)
        run()
        times.append(1e3 * (synchronised_time(device) - start))
    return statistics.median(times[WARM_UP:])


def gradient_step(name: str, device: torch.device) -> Callable[[], None]:
    """Return a step of NAS (REINFORCE) or NASNet (PPO) on a batch that its controller drew."""
    space, settings = LEARNT[name]
    lstm = LSTMController(space, bias=True, tanh_constant=None, **settings)
    adam = partial(torch.optim.Adam, lr=1e-4)
    module = ControllerModule(lstm, MovingAverageBaseline(0.95), adam).to(device)
    optimizer = module.configure_optimizers()
    drawn, _ = module.sample(ARCHITECTURES)
    tokens, old_log_prob_N = drawn.tokens_NT.tolist(), drawn.log_prob_N.detach()
    reward_N = torch.rand(ARCHITECTURES, device=device)

    def step() -> None:
        rollout = module.score(tokens)
        if name == "NAS":
            loss, _ = module.loss(rollout, reward_N)
        else:
            surrogate = ppo_loss(rollout.log_prob_N, old_log_prob_N, reward_N, clip=0.2)
            loss = surrogate - module.entropy_weight * rollout.entropy_N.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure drawing, then learning, and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="default: 10")
    arguments = parse(parser)
    repeats, device = arguments.repeats, arguments.device
    print(f"{'drawing':<10}{'batch, ms':>12}{'one by one, ms':>16}{'ratio':>8}")
    for name, space in DRAWN.items():
        controller = LSTMController(space, hidden=HIDDEN).to(device)

        def batched(controller: LSTMController = controller) -> None:
            controller.sample(ARCHITECTURES)

        def one_by_one(controller: LSTMController = controller) -> None:
            for _ in range(ARCHITECTURES):
                controller.sample(1)

        fast, slow = (median_milliseconds(run, repeats, device) for run in (batched, one_by_one))
        print(f"{name:<10}{fast:>12.1f}{slow:>16.1f}{slow / fast:>8.1f}")
    print(f"\n{'learning':<10}{'decisions':>12}{'step, ms':>16}")
    for name, (space, _) in LEARNT.items():
        step = median_milliseconds(gradient_step(name, device), repeats, device)
        print(f"{name:<10}{space.length:>12}{step:>16.1f}")


if __name__ == "__main__":
    main()
