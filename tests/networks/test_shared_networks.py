"""The networks with shared weights: equality with a plain reference, and what is shared."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
import torch
from torch import Tensor, nn

from benchmarks.port import PortCellNetwork, PortMacroNetwork
from lightning_nas.architecture import (
    CELL_OPERATIONS,
    MACRO_OPERATIONS,
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    MacroArchitecture,
    MacroLayer,
    find_poolings,
    find_unused_states,
)
from lightning_nas.errors import InputError
from lightning_nas.networks.edge_cell import EdgeCellNetwork
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.networks.shared_edge_cell import SharedEdgeCellNetwork
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace
from tests.networks import reference

Build = Callable[..., nn.Module]
BLOCKS, LAYERS = 3, 6
PAPER_BLOCKS = 5
AUXILIARY_SIZE = 18  # maps of 18, 9 and 5 px, so SAME padding of odd maps is tested too


@pytest.fixture(autouse=True)
def _one_thread():
    """Use one thread: on maps this small more threads gain nothing and cost much on a busy CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cell_network(**settings) -> SharedCellNetwork:
    settings = {"cells": 1, "filters": 4, "blocks": BLOCKS, "dropout": 0.0, **settings}
    return _make(SharedCellNetwork, settings)


def macro_network(**settings) -> SharedMacroNetwork:
    return _make(SharedMacroNetwork, {"layers": LAYERS, "filters": 4, "dropout": 0.0, **settings})


def _make(network: Build, settings: dict) -> nn.Module:
    """Return a float64 network whose batch norms have random parameters."""
    torch.manual_seed(0)
    built = network(num_classes=3, **{"image_size": 8, **settings}).double()
    for name, parameter in built.named_parameters():
        if parameter.ndim == 1:
            centre = 1.0 if name.endswith("weight") else 0.0
            nn.init.normal_(parameter, centre, 0.3)
    return built.to(memory_format=torch.channels_last)


def images(size: int = 8, batch: int = 3, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, size, size, dtype=torch.float64, generator=generator)


def random_architectures(space: Space, number: int) -> list[Architecture]:
    random = Random(7)
    options = list(space.count_token_options())
    return [space.decode([random.randrange(n) for n in options]) for _ in range(number)]


CELLS = random_architectures(CellSpace(blocks=BLOCKS), 3)
PAPER_CELLS = random_architectures(CellSpace(blocks=PAPER_BLOCKS), 50)
MACROS = random_architectures(MacroSpace(layers=LAYERS), 50)
SPACES = pytest.mark.parametrize(
    ("build", "architectures"),
    [(cell_network, CELLS), (macro_network, MACROS)],
    ids=["cell", "macro"],
)
REDUCTIONS = pytest.mark.parametrize("reduction", ["strided", "factorized"])


def total(*outputs: Tensor) -> Tensor:
    """Return a weighted sum of all outputs, each element with another weight."""
    weights = (torch.arange(1.0, x.numel() + 1).sin().to(x).reshape(x.shape) for x in outputs)
    return sum((x * weight).sum() for x, weight in zip(outputs, weights, strict=True))


def names_with_gradient(network: nn.Module, architecture: Architecture) -> set[str]:
    """Run one architecture forward and backward; return the parameters that have a gradient."""
    network.zero_grad(set_to_none=True)
    total(network(images(), architecture)).backward()
    return {name for name, p in network.named_parameters() if p.grad is not None}


# ---- edge cells ---------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", random_architectures(EdgeCellSpace(4, 2), 8))
def test_edge_cells_compute_what_the_network_of_one_architecture_computes(architecture) -> None:
    shared = _make(SharedEdgeCellNetwork, {"cells": 2, "filters": 4})
    alone = EdgeCellNetwork(architecture, num_classes=3, image_size=8, cells=2, filters=4).double()
    chosen = {f"{edge}.{name}": edge for edge, name in enumerate(architecture.operations)}
    weights = {}
    for name, weight in shared.state_dict().items():
        parts = name.split(".")
        if "edges" in parts:
            place = parts.index("edges") + 1
            if ".".join(parts[place : place + 2]) not in chosen:
                continue
            del parts[place + 1]
        weights[".".join(parts)] = weight
    buffers = {n: b for n, b in alone.state_dict().items() if n not in weights}
    alone.load_state_dict(weights | buffers)
    assert all("running" in name or "num_batches" in name for name in buffers)
    torch.testing.assert_close(shared(images(), architecture), alone(images()))


def test_an_edge_cell_trains_only_the_chosen_operations() -> None:
    network = _make(SharedEdgeCellNetwork, {"cells": 1, "filters": 4})
    architecture = EdgeCellSpace(4, 1).decode([3, 2, 1, 4, 0, 3])
    trained = {n for n in names_with_gradient(network, architecture) if "edges" in n}
    assert {tuple(n.split(".")[3:5]) for n in trained} == {
        ("0", "conv_3x3"), ("1", "conv_1x1"), ("5", "conv_3x3"),
    }  # fmt: skip


# ---- equality with the reference ----------------------------------------------------------------


def assert_equal_to_reference(
    network: nn.Module, outputs: Sequence[Tensor], expected: Sequence[Tensor], weights: dict
) -> None:
    for output, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, wanted, rtol=1e-8, atol=1e-8)
    network.zero_grad(set_to_none=True)
    total(*outputs).backward()
    gradients = torch.autograd.grad(total(*expected), list(weights.values()), allow_unused=True)
    for (name, parameter), gradient in zip(network.named_parameters(), gradients, strict=True):
        if gradient is None:
            assert parameter.grad is None, f"{name} is not on the sampled path"
        else:
            assert parameter.grad is not None, f"{name} is on the sampled path"
            assert torch.allclose(parameter.grad, gradient, rtol=1e-6, atol=1e-8), name


@REDUCTIONS
@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_cell_network_equals_reference(reduction: str, batch_norm: str) -> None:
    settings = {"image_size": AUXILIARY_SIZE, "reduction": reduction}
    network = cell_network(blocks=PAPER_BLOCKS, batch_norm=batch_norm, **settings)
    weights = reference.copy_weights(network)
    x = images(AUXILIARY_SIZE)
    for architecture in PAPER_CELLS[:: 1 if batch_norm == "batch" else 10]:
        expected = reference.cell_network(x, architecture, weights, 1, reduction)
        assert_equal_to_reference(network, network(x, architecture), expected, weights)


@REDUCTIONS
def test_cell_network_equals_reference_for_cifar_images(reduction: str) -> None:
    network = cell_network(blocks=PAPER_BLOCKS, cells=2, image_size=32, reduction=reduction)
    weights = reference.copy_weights(network)
    for architecture in PAPER_CELLS[:3]:
        expected = reference.cell_network(images(32), architecture, weights, 2, reduction)
        assert_equal_to_reference(network, network(images(32), architecture), expected, weights)


@pytest.mark.parametrize("size", [8, 11])
def test_macro_network_equals_reference(size: int) -> None:
    network = macro_network(image_size=size)
    weights = reference.copy_weights(network)
    for architecture in MACROS:
        expected = reference.macro_network(images(size), architecture, weights)
        outputs = [network(images(size), architecture)]
        assert_equal_to_reference(network, outputs, [expected], weights)


def test_the_port_in_benchmarks_gives_the_same_logits() -> None:
    cells, macro = cell_network(blocks=PAPER_BLOCKS, reduction="factorized"), macro_network()
    pairs = [
        (cells, PortCellNetwork(num_classes=3, cells=1, filters=4, dropout=0.0), PAPER_CELLS),
        (macro, PortMacroNetwork(num_classes=3, layers=LAYERS, filters=4, dropout=0.0), MACROS),
    ]
    for network, port, architectures in pairs:
        copy_to_port(network, port.double())
        for architecture in architectures[:10]:
            torch.testing.assert_close(
                port(images(), architecture), network(images(), architecture)
            )


def copy_to_port(network: nn.Module, port: nn.Module) -> None:
    """Copy shared weights into the port, which stacks the weights of an edge by input state."""
    weights = dict(network.named_parameters())
    norms = {"scale_1": "norm_1.weight", "shift_1": "norm_1.bias"}
    norms |= {"scale_2": "norm_2.weight", "shift_2": "norm_2.bias"}
    for name, parameter in port.named_parameters():
        *path, last = name.split(".")
        if len(path) == 6 and path[2] == "blocks":
            *edge, operation = path
            leaf = norms.get(last, f"{last}.weight")
            parts = [".".join([*edge, str(i), operation, leaf]) for i in range(len(parameter))]
            parameter.data = torch.stack([weights[part].detach() for part in parts])
        elif last == "outputs":
            parts = [f"{name}.{i}.weight" for i in range(len(parameter))]
            parameter.data = torch.stack([weights[part].detach() for part in parts])
        else:
            parameter.data = weights[name.replace("linear", "classifier.linear")].detach().clone()


# ---- which weights are shared -------------------------------------------------------------------


def with_first_operation(operation: str, kind: str) -> CellArchitecture:
    """Return an architecture with the given operation on one edge of one cell."""
    plain = Block((0, 1), ("identity", "avg_pool_3x3"))
    blocks = (Block((0, 1), (operation, "max_pool_3x3")), *[plain] * (BLOCKS - 1))
    cells = dict.fromkeys(("normal", "reduction"), (plain,) * BLOCKS) | {kind: blocks}
    return CellArchitecture(**{k: Cell(b, find_unused_states(b)) for k, b in cells.items()})


@REDUCTIONS
@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_every_cell_operation_has_its_own_weights(kind: str, reduction: str) -> None:
    network = cell_network(reduction=reduction)
    logits, reached = {}, {}
    for operation in CELL_OPERATIONS:
        architecture = with_first_operation(operation, kind)
        logits[operation] = network(images(), architecture)
        names = names_with_gradient(network, architecture)
        index = network.reductions[0] if kind == "reduction" else 0
        prefix = f"cells.{index}.blocks.0.0.0."
        reached[operation] = {name.split(".")[6] for name in names if name.startswith(prefix)}
    for one, other in itertools.combinations(CELL_OPERATIONS, 2):
        assert not torch.allclose(logits[one], logits[other]), (one, other)
    strided = reduction == "strided" and kind == "reduction"
    weighted = {"sep_conv_3x3", "sep_conv_5x5"} | ({"identity"} if strided else set())
    assert reached == {name: {name} & weighted for name in CELL_OPERATIONS}


def test_every_macro_operation_has_its_own_weights() -> None:
    network = macro_network()
    logits, reached = {}, {}
    for operation in MACRO_OPERATIONS:
        layers = [MacroLayer("conv_3x3")] * LAYERS
        layers[2] = MacroLayer(operation)
        architecture = MacroArchitecture(tuple(layers))
        logits[operation] = network(images(), architecture)
        names = names_with_gradient(network, architecture)
        prefix = "layers.2.branches."
        reached[operation] = {name.split(".")[3] for name in names if name.startswith(prefix)}
    for one, other in itertools.combinations(MACRO_OPERATIONS, 2):
        assert not torch.allclose(logits[one], logits[other]), (one, other)
    assert reached == {name: {name} for name in MACRO_OPERATIONS}


@REDUCTIONS
def test_architectures_with_the_same_edge_share_its_weights(reduction: str) -> None:
    network = cell_network(reduction=reduction)
    block = Block((0, 1), ("sep_conv_3x3", "sep_conv_5x5"))
    swapped = Block((1, 0), block.operations)
    plain = Block((0, 1), ("identity", "identity"))

    def names(*blocks: Block) -> set[str]:
        cell = Cell(blocks, find_unused_states(blocks))
        reached = names_with_gradient(network, CellArchitecture(cell, cell))
        return {name for name in reached if name.startswith("cells.") and "sep_conv" in name}

    rest = (plain,) * (BLOCKS - 1)
    shared = names(block, *rest)
    assert shared
    assert names(block, swapped, *rest[1:]) > shared  # another block of the cell does not matter
    assert names(swapped, *rest).isdisjoint(shared)  # another state read: other weights
    assert names(plain, block, *rest[1:]).isdisjoint(shared)  # another block: other weights
    mirrored = Block((1, 0), block.operations[::-1])
    assert names(mirrored, *rest).isdisjoint(shared)  # another side: other weights


def test_skips_do_not_change_the_weights_of_macro_operations() -> None:
    network = macro_network()
    layers = tuple(MacroLayer("sep_conv_3x3") for _ in range(LAYERS))
    skipping = tuple(replace(layer, skips=tuple(range(i))) for i, layer in enumerate(layers))
    without = names_with_gradient(network, MacroArchitecture(layers))
    within = names_with_gradient(network, MacroArchitecture(skipping))
    assert {name for name in without if "branches" in name} == {
        n for n in within if "branches" in n
    }
    assert {name.split(".")[0] for name in within - without} == {"halvings"}


@REDUCTIONS
def test_some_architecture_uses_each_weight_of_the_cells(reduction: str) -> None:
    network = cell_network(reduction=reduction, auxiliary=False)
    reached = set()
    for state, operation in itertools.product(range(BLOCKS + 1), CELL_OPERATIONS):
        states = (state % (block + 2) for block in range(BLOCKS))
        blocks = tuple(Block((read, read), (operation, operation)) for read in states)
        cell = Cell(blocks, find_unused_states(blocks))
        reached |= names_with_gradient(network, CellArchitecture(cell, cell))
    assert reached == {name for name, _ in network.named_parameters()}


def test_some_architecture_uses_each_weight_of_the_layers() -> None:
    network = macro_network()
    reached = set()
    for operation in MACRO_OPERATIONS:
        layers = tuple(MacroLayer(operation, tuple(range(i))) for i in range(LAYERS))
        reached |= names_with_gradient(network, MacroArchitecture(layers))
    assert reached == {name for name, _ in network.named_parameters()}


# ---- sizes --------------------------------------------------------------------------------------


def test_macro_network_has_the_parameters_of_the_released_code() -> None:
    network = SharedMacroNetwork(num_classes=10, layers=12, filters=36)
    assert sum(p.numel() for p in network.parameters()) == 697_860


def test_cell_network_has_the_parameters_of_the_released_graph() -> None:
    """The expected number is counted from the released graph; the authors give none."""
    network = SharedCellNetwork(num_classes=10, auxiliary=False, reduction="factorized")

    def cell(older: int, newer: int, f: int) -> int:
        calibrations = sum(c * f + 2 * f for c, same in older_newer(older, newer, f) if not same)
        stacks = sum(2 * (k * k * f + f * f + 2 * f) for k in (3, 5))
        edges = sum(2 * (block + 2) for block in range(5))
        return calibrations + edges * stacks + 7 * f * f + 2 * f

    def older_newer(older: int, newer: int, f: int) -> list[tuple[int, bool]]:
        return [(older, older == f), (newer, newer == f)]

    f = 20
    expected = 3 * 9 * 3 * f + 2 * 3 * f  # stem
    expected += cell(3 * f, 3 * f, f) + cell(3 * f, f, f)
    for wide in (2 * f, 4 * f):
        expected += wide // 2 * wide + 2 * wide  # the factorized reduction before the cell
        expected += cell(wide // 2, wide, wide) + 2 * cell(wide, wide, wide)
    expected += 4 * f * 10
    assert sum(p.numel() for p in network.parameters()) == expected


@REDUCTIONS
def test_reductions_and_auxiliary_head_stand_as_in_the_released_code(reduction: str) -> None:
    network = cell_network(cells=2, image_size=32, reduction=reduction)
    shapes = record_shapes(network.cells, network, images(32), CELLS[0])
    assert shapes == [(4, 32)] * 2 + [(8, 16)] * 3 + [(16, 8)] * 3
    assert network.reductions == (2, 5)
    assert network.auxiliary_index == 6
    assert record_shapes([network.auxiliary], network, images(32), CELLS[0]) == [(3,)]


def test_macro_network_halves_after_each_third_but_the_last() -> None:
    network = macro_network(layers=12, image_size=32)
    chain = MacroArchitecture((MacroLayer("conv_3x3"),) * 12)
    shapes = record_shapes(network.layers, network, images(32), chain)
    assert shapes == [(4, 32)] * 4 + [(4, 16)] * 4 + [(4, 8)] * 4
    assert find_poolings(12) == (3, 7)
    assert find_poolings(24) == (7, 15)


def record_shapes(modules, network: nn.Module, x: Tensor, architecture: Architecture) -> list:
    """Return channels and side of the output of each module."""
    shapes: list[tuple[int, ...]] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, y: shapes.append(tuple(y.shape[1:3])))
        for module in modules
    ]
    network(x, architecture)
    for hook in hooks:
        hook.remove()
    return shapes


@pytest.mark.parametrize(("size", "there"), [(16, False), (17, True)])
def test_auxiliary_head_needs_a_map_of_five_pixels(size: int, there: bool) -> None:
    network = cell_network(image_size=size)
    assert (network.auxiliary is not None) == there
    assert isinstance(network(images(size), CELLS[0]), tuple) == there
    assert isinstance(network.eval()(images(size), CELLS[0]), Tensor)


@pytest.mark.parametrize("build", [cell_network, macro_network])
def test_images_too_small_for_two_reductions_are_refused(build: Build) -> None:
    with pytest.raises(InputError, match=r"images of 3 px .* 4 px"):
        build(image_size=3)
    assert (
        build(image_size=4)(images(4), (CELLS if build is cell_network else MACROS)[0])
        .isfinite()
        .all()
    )


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (cell_network, {"reduction": "pooled"}),
        (cell_network, {"filters": 5}),
        (cell_network, {"cells": 0}),
        (cell_network, {"batch_norm": "none"}),
        (macro_network, {"layers": 2}),
        (macro_network, {"filters": 3}),
        (macro_network, {"batch_norm": "none"}),
    ],
)
def test_illegal_settings_are_refused(build: Build, settings: dict) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        build(**settings)


# ---- scoring ------------------------------------------------------------------------------------


@SPACES
@pytest.mark.parametrize("batch_norm", ["batch", "running", "recalibrated"])
def test_scoring_repeats_and_changes_nothing(build: Build, architectures, batch_norm: str) -> None:
    network = build(batch_norm=batch_norm, dropout=0.5).float()
    x, other = images().float(), images(seed=2).float()
    network(x, architectures[0])  # moves the running averages from their initial values
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    with torch.no_grad():
        if batch_norm == "recalibrated":
            with network.statistics.record():
                network(other, architectures[1])
        first, second = (network(x, architectures[1]) for _ in range(2))
    assert torch.equal(first, second)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in network.parameters())


@SPACES
def test_each_batch_norm_mode_uses_its_statistics(build: Build, architectures) -> None:
    """Recalibrated logits equal those of training on the calibration batch and no other."""
    x, other = images().float(), images().float() * 3 + 1
    outputs = {}
    for batch_norm in ("batch", "running", "recalibrated"):
        network = build(batch_norm=batch_norm).float()
        network(x, architectures[0])
        network.eval()
        with torch.no_grad(), network.statistics.record():
            network(x, architectures[0])
        outputs[batch_norm] = [network(batch, architectures[0]) for batch in (x, other)]
        assert bool(list(network.buffers())) == (batch_norm == "running")
    plain, moved = outputs["batch"]
    torch.testing.assert_close(outputs["recalibrated"][0], plain, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(outputs["running"][0], plain)
    assert not torch.allclose(outputs["recalibrated"][1], moved)
    assert not torch.allclose(outputs["running"][1], moved)


@SPACES
def test_batch_statistics_score_as_in_training(build: Build, architectures) -> None:
    network = build()
    training = network(images(), architectures[0])
    torch.testing.assert_close(network.eval()(images(), architectures[0]), training)


# ---- memory -------------------------------------------------------------------------------------


def saved_bytes(network: nn.Module, architecture: Architecture) -> int:
    """Return the bytes that one forward pass saves for backward, without the weights."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        output = network(images(), architecture)
    del output
    return sum(t.untyped_storage().nbytes() for key, t in saved.items() if key not in weights)


def test_activation_memory_does_not_grow_with_the_operations_of_the_space() -> None:
    two = ("sep_conv_3x3", "avg_pool_3x3")
    for build, space in (
        (cell_network, CellSpace(blocks=BLOCKS, operations=two)),
        (macro_network, MacroSpace(layers=LAYERS, operations=two)),
    ):
        small, large = build(operations=two), build()
        for architecture in random_architectures(space, 5):
            assert saved_bytes(small, architecture) == saved_bytes(large, architecture) > 0
