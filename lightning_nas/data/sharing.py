"""Transfer of image batches from data workers: through shared memory, or through a pipe.

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
# Bytes of shared memory to keep free for the semaphores of data workers, 4 kB each. A loader that
# starts later, such as the validation loader, needs some 20 semaphores.
RESERVE = 512 * 1024
ADVICE = "start the container with --shm-size=1g, or use data.num_workers=0"
log = logging.getLogger(__name__)


def has_room(needed: int = 0) -> bool:
    """Return whether shared memory has room for a batch and for semaphores of data workers.

    Args:
        needed: Size of the batch in bytes, at least 0.
    """
    try:
        return shutil.disk_usage(SHARED).free >= needed + RESERVE
    except OSError:  # the system keeps shared memory elsewhere
        return True


def send(pixels: np.ndarray) -> Tensor | np.ndarray:
    """Return images for sending: a tensor, or the array if shared memory is full.

    Args:
        pixels: uint8 images of any shape. Torch sends a tensor through shared memory, and an array
            through a pipe, which is slower.
    """
    images = torch.from_numpy(pixels)
    if get_worker_info() is None:
        return images
    if not has_room(pixels.nbytes):
        return pixels
    try:
        return images.share_memory_()
    except RuntimeError:  # torch says "unable to allocate shared memory(shm)"
        return pixels


class Receiver:
    """Receiver of batches from worker processes. The first array of a command causes a warning."""

    has_warned = False  # of all receivers: a command has one for each split

    def receive(self, images: Tensor | np.ndarray) -> Tensor:
        """Return a batch of images as a tensor."""
        if isinstance(images, Tensor):
            return images
        if not Receiver.has_warned:
            Receiver.has_warned = True
            log.warning(
                "%s is too small for the batches of the data workers (%.0f MB each, %.0f MB in "
                "all): they take a slower way; %s",
                SHARED,
                images.nbytes / 1e6,
                shutil.disk_usage(SHARED).total / 1e6,
                ADVICE,
            )
        return torch.from_numpy(images)
