"""Batches on their way from a worker process: through shared memory, or through the pipe.

Torch shares memory as files in ``/dev/shm``, which has only 64 MB in a container by default. If a
file does not fit, torch loses the batch in a thread of the worker, and the training waits for ever.
"""

import logging
import shutil

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

SHARED = "/dev/shm"
log = logging.getLogger(__name__)


def send(pixels: np.ndarray) -> Tensor | np.ndarray:
    """Return what a worker process sends: a tensor in shared memory, or the array if it is full.

    Args:
        pixels: uint8 images of any shape. An array is copied through the pipe, which is slower.
    """
    images = torch.from_numpy(pixels)
    if get_worker_info() is None:
        return images
    try:
        return images.share_memory_()
    except RuntimeError:  # torch says "unable to allocate shared memory(shm)"
        return pixels


class Receiver:
    """Receiver of the batches of worker processes, which warns once if shared memory was full."""

    def __init__(self) -> None:
        self.has_warned = False

    def receive(self, images: Tensor | np.ndarray) -> Tensor:
        """Return a batch of images as a tensor."""
        if isinstance(images, Tensor):
            return images
        if not self.has_warned:
            self.has_warned = True
            log.warning(
                "%s is too small for the batches of the data workers (%.0f MB each, %.0f MB in "
                "all): they take a slower way; start the container with --shm-size=1g, or use "
                "data.num_workers=0",
                SHARED,
                images.nbytes / 1e6,
                shutil.disk_usage(SHARED).total / 1e6,
            )
        return torch.from_numpy(images)
