"""Batches of worker processes if /dev/shm is as small as in a container."""

import subprocess
import sys

import pytest
from commands import ROOT

SMALL = "mount -t tmpfs -o size=%s tmpfs /dev/shm"  # in a namespace of its own
READ = """
import sys
import torch
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.data.loader import StreamSource

def read(workers):
    data = ImageFolder(root=sys.argv[1], batch_size=8, validation=0.25, num_workers=workers)
    data.prepare_data()
    data.setup()
    loader = data.train_dataloader()
    assert isinstance(loader.source, StreamSource)
    batches = list(loader)
    loader.source.close()
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]

for ours, others in zip(read(0), read(1), strict=True):
    assert torch.equal(ours, others)
"""


def run_in_small_memory(command, size):
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{SMALL % size} && exec "$@"', "-", *command],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "warning"),
    [("1m", "they take a slower way"), ("256k", "/dev/shm is full: one process decodes")],
)
def test_batches_that_do_not_fit_into_shared_memory_arrive_nevertheless(
    size, warning, tmp_path, write_class
):
    """A batch has 8 * 128 * 128 * 3 bytes = 393 kB; torch itself would wait for ever.

    In 256 kB, the semaphores of workers have no room either.
    """
    try:
        is_possible = run_in_small_memory(["true"], size).returncode == 0
    except FileNotFoundError:
        is_possible = False
    if not is_possible:
        pytest.skip("this machine permits no mount in a namespace")
    for name in "ab":
        write_class(tmp_path / name, 20, side=128)
    done = run_in_small_memory([sys.executable, "-c", READ, str(tmp_path)], size)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--shm-size=1g, or use data.num_workers=0") == 1
    assert done.stderr.count(warning) == 1
