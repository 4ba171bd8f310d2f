"""Operations that a GPU would have to launch for each step of ENAS, counted without a GPU.

The networks are those of the released scripts, at their batch sizes. They run on the ``meta``
device, which computes shapes alone, so the counts are exact and repeat. Views and allocations cost
nothing. The backward of a convolution counts two (data and weights), that of a slice and a padding
two each (fill and copy). Kernels that a library adds inside an operation are not seen. A cell of
the controller's LSTM counts 12, although CUDA computes it in three launches.

    python -m benchmarks.launches
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.supernet import architectures
from lightning_nas.architecture import Architecture
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace

KINDS = ("micro", "macro")
SAMPLES = {"micro": 10, "macro": 20}  # architectures in a controller step
BATCH = {"micro": 160, "macro": 128}
VALIDATION_IMAGES = 5000
SEVERAL = {"convolution_backward": 2, "slice_backward": 2, "constant_pad_nd": 2}
FREE = ("detach", "_unsafe_view", "lift_fresh")


class CountLaunches(TorchDispatchMode):
    """Mode that counts the operations on tensors of a device other than the CPU.

    Attributes:
        counts: Number of launches, by name of the operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Number of all launches."""
        return sum(self.counts.values())

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count an operation and run it."""
        out = operation(*args, **(kwargs or {}))
        name = operation.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
        is_free = operation.is_view or name in FREE or name.startswith("empty")
        if not is_free and any(tensor.device.type != "cpu" for tensor in tensors):
            only_cuts = name == "constant_pad_nd" and max(args[1]) <= 0  # one copy, no fill
            self.counts[name] += 1 if only_cuts else SEVERAL.get(name, 1)
        return out


class GivenTokens(LSTMController):
    """Controller that computes its samples on ``meta`` and returns given tokens in their place.

    Args:
        space: Space of the controller.
        tokens: Tokens of the architectures; the controller repeats them.
    """

    def __init__(self, space: Space, tokens: list[list[int]]) -> None:
        super().__init__(space)
        self.given = tokens

    def sample(self, n: int, *args: Any, **kwargs: Any) -> Rollout:
        """Compute ``n`` samples and return them with the given tokens."""
        tokens = [self.given[index % len(self.given)] for index in range(n)]
        stand_in: Any = SimpleNamespace(tolist=lambda: tokens)  # meta tensors have no values
        return replace(super().sample(n, *args, **kwargs), tokens_NT=stand_in)


class MetaSearch:
    """The released search of a kind on the ``meta`` device, and its steps.

    Args:
        kind: One of ``KINDS``.
        number: Number of architectures to count.
    """

    def __init__(self, kind: str, number: int) -> None:
        self.samples = SAMPLES[kind]
        with torch.device("meta"):
            if kind == "micro":
                space: Space = CellSpace(blocks=5)
                network: Any = SharedCellNetwork(num_classes=10, cells=2, filters=20)
            else:
                space = MacroSpace(layers=12)
                network = SharedMacroNetwork(num_classes=10, layers=12, filters=36)
            self.architectures: list[Architecture] = architectures(space, number)
            controller = ControllerModule(
                GivenTokens(space, [space.encode(one) for one in self.architectures]),  # type: ignore[misc]
                MovingAverageBaseline(0.99),
                partial(torch.optim.Adam, lr=0.0035, foreach=True),
                samples=self.samples,
            )
            sgd = partial(SharedSGD, lr=0.05, weight_decay=2e-4, clip_norm=5.0)
            supernet = SupernetModule(network, space, sgd, lambda optimizer: None)
            self.batch = self._make_batch(BATCH[kind])
            self.controller_batch = self._make_batch(BATCH[kind] * self.samples)
        self.optimizer = supernet.configure_optimizers()["optimizer"]
        self.controller_optimizer = controller.configure_optimizers()
        data: Any = SimpleNamespace(batch_size=BATCH[kind], seed=0)
        self.search = ENAS(supernet, controller, data)
        self.search.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
        self.validation_batches = -(-VALIDATION_IMAGES // BATCH[kind])

    @staticmethod
    def _make_batch(size: int) -> tuple[Tensor, Tensor]:
        images = torch.empty(size, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        return images, torch.zeros(size, dtype=torch.long)

    def step_weights(self, architecture: Architecture) -> dict[str, Callable[[], Any]]:
        """Return the parts of a weights step, by name, in the order to call them."""
        losses: list[Tensor] = []
        return {
            "forward": lambda: losses.append(
                self.search.supernet.loss(*self.batch, architecture)[0]
            ),
            "backward": lambda: (self.optimizer.zero_grad(), losses[0].backward()),
            "optimiser": self.optimizer.step,
        }

    def score(self, architecture: Architecture) -> Tensor:
        """Score one architecture on a batch."""
        return self.search.supernet.score(*self.batch, [architecture])

    def step_controller(self) -> None:
        """Sample, score, and update the controller."""
        controller = self.search.controller
        rollout, sampled = controller.sample(self.samples)
        reward_N = self.search.supernet.score(*self.controller_batch, sampled)
        loss, _ = controller.loss(rollout, reward_N)
        self.controller_optimizer.zero_grad()
        loss.backward()
        self.controller_optimizer.step()

    def validate(self) -> list[int]:
        """Return the launches of the first and of the second validation batch of an epoch."""
        self.search.on_validation_epoch_start()
        return [count(partial(self.search.validation_step, self.batch, n)) for n in range(2)]


def count(step: Callable[[], Any]) -> int:
    """Return the launches of a function."""
    with CountLaunches() as mode:
        step()
    return mode.total


def count_steps(kind: str, number: int) -> dict[str, float]:
    """Return the mean launches of each step, by name.

    Args:
        kind: One of ``KINDS``.
        number: Number of architectures, the same at every call.
    """
    search = MetaSearch(kind, number)
    parts = [
        {name: count(part) for name, part in search.step_weights(one).items()}
        for one in search.architectures
    ]
    rows = {f"weights step, {name}": statistics.fmean(p[name] for p in parts) for name in parts[0]}
    rows["weights step"] = sum(rows.values())
    scores = [count(partial(search.score, one)) for one in search.architectures]
    rows["score one architecture"] = statistics.fmean(scores)
    rows["controller step"] = count(search.step_controller)
    first, second = (both - alone for both, alone in zip(search.validate(), scores, strict=False))
    sampling = (first + (search.validation_batches - 1) * second) / search.validation_batches
    rows["validation batch"] = rows["score one architecture"] + sampling
    return rows


def main() -> None:
    """Count and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", type=int, default=10, help="default: 10")
    arguments = parser.parse_args()
    table = {kind: count_steps(kind, arguments.architectures) for kind in KINDS}
    print(f"launches, mean over {arguments.architectures} random architectures")
    print(f"{'':<28}" + "".join(f"{kind:>10}" for kind in KINDS))
    for name in table["micro"]:
        print(f"{name:<28}" + "".join(f"{table[kind][name]:>10,.0f}" for kind in KINDS))


if __name__ == "__main__":
    main()
