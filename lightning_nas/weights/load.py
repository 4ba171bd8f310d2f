"""Loading weights into a network: which tensors must fit, and which may keep fresh weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from lightning_nas.errors import InputError, list_some
from lightning_nas.weights.files import Weights, read_weights
from lightning_nas.weights.inherit import inherit

__all__ = ["Weights", "load_weights", "read_weights"]
HEAD = "classifier."
AUXILIARY = "auxiliary."
COUNTER = "num_batches_tracked"  # missing in files from before torch 0.4.1; no code reads it


def load_weights(network: nn.Module, weights: Weights, *, new_head: bool = False) -> str:
    """Load trained or shared weights into a network.

    An auxiliary head keeps fresh weights if the weights have none, or one of another size. The stem
    is converted between grey and RGB images: its weights are spread over the channels or added up.

    Args:
        network: Network of the same architecture and size as the weights.
        weights: Weights of a network, or shared weights.
        new_head: Whether the classifiers keep fresh weights, for other classes.

    Returns:
        A sentence that says how many tensors were loaded.

    Raises:
        InputError: If the weights belong to another network. The message names some differences.
    """
    if weights.shared:
        return f"inherited {inherit(network, weights.state)} from {weights.source}"
    own = network.state_dict()
    given = {name: _match_channels(t, own.get(name)) for name, t in weights.state.items()}
    fresh = {name for name in own.keys() | given.keys() if new_head and name.startswith(HEAD)}
    auxiliary = {name for name in own.keys() | given.keys() if name.startswith(AUXILIARY)}
    if new_head or any(_compare(name, given, own) for name in auxiliary):
        fresh |= auxiliary
    has_counters = any(name.endswith(COUNTER) for name in given)
    missing = {name for name in own if name.endswith(COUNTER) and not has_counters}
    names = sorted((own.keys() | given.keys()) - fresh - missing)
    differences = [text for name in names if (text := _compare(name, given, own))]
    if differences:
        raise InputError(_refuse(weights, differences))
    network.load_state_dict({name: given[name] for name in names}, strict=False)
    parts = sorted({name.split(".")[0] for name in fresh & own.keys()})
    return f"loaded {len(names)} of {len(own)} tensors from {weights.source}" + (
        f"; fresh weights: {', '.join(parts)}" if parts else ""
    )


def _refuse(weights: Weights, differences: list[str]) -> str:
    """Return the error message: the first differences and advice."""
    if all(text.startswith(HEAD) for text in differences):
        advice = "the classes differ: recipe=finetune or new_head=true creates a new head"
    elif weights.blueprint is not None:
        advice = "leave out architecture and network.* (the weights know both), or choose others"
    else:
        advice = (
            "build the network of these weights (architecture, network.filters, network.cells, "
            "network.stem), or choose other weights"
        )
    return f"weights={weights.source} do not fit this network: {list_some(differences)}; {advice}"


def _compare(name: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Return the difference between two tensors of a name; empty if they have the same shape."""
    if name not in given:
        return f"{name} is missing in the weights"
    if name not in own:
        return f"{name} is missing in the network"
    if given[name].shape != own[name].shape:
        return f"{name} is {list(given[name].shape)} in the weights, {list(own[name].shape)} here"
    return ""


def _match_channels(tensor: Tensor, own: Tensor | None) -> Tensor:
    """Convert a convolution for grey images to RGB images, or the reverse."""
    if own is None or tensor.ndim != 4 or own.ndim != 4:
        return tensor
    given, wanted = tensor.shape[1], own.shape[1]
    if {given, wanted} != {1, 3} or tensor[:, 0].shape != own[:, 0].shape:
        return tensor
    return tensor.sum(1, keepdim=True) if wanted == 1 else tensor.expand(-1, 3, -1, -1) / 3
