"""Worker of Ray: a process, on any node of a cluster, that evaluates one child after another.

A worker evaluates many children, so it imports torch and loads the images only once.
"""

import os
from typing import Any

try:
    import ray
except ImportError:
    ray = None  # type: ignore[assignment]

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Cutoffs, Evaluator, run_evaluator
from lightning_nas.layers.operations import register_operations
from lightning_nas.storage.trial import Outcome

SAME_ON_ALL_NODES = "all nodes need the same packages and the same code"


class Worker:
    """Process that evaluates one architecture after another.

    It works in the folder of the search, if its node has this folder: paths may be relative.

    Args:
        references: List with one reference to the evaluator and the added operations. Ray replaces
            a reference by its value, but not a reference inside a list.
        folder: Working folder of the search.
    """

    def __init__(self, references: list[Any], folder: str) -> None:
        self.references = references
        self.folder = folder
        self.evaluate: Evaluator | None = None

    def load(self) -> str:
        """Load the evaluator. Return Ray's identifier of the node.

        Raises:
            InputError: If the evaluator needs a package or code that the node does not have.
        """
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        try:
            self.evaluate, operations = ray.get(self.references[0])
            register_operations(operations)
        except Exception as error:
            reason = (str(error).splitlines() or [repr(error)])[-1]
            raise InputError(
                f"node {ray.util.get_node_ip_address()} cannot load the evaluator: {reason}; "
                f"{SAME_ON_ALL_NODES}"
            ) from None
        node: str = ray.get_runtime_context().get_node_id()
        return node

    def train(self, architecture: Architecture, seed: int, cutoffs: Cutoffs | None) -> Outcome:
        """Return the outcome of an architecture."""
        assert self.evaluate is not None
        return run_evaluator(self.evaluate, architecture, seed, lambda: None, cutoffs)
