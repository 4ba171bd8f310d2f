"""Commands where little is permitted, as in a container: memory, disk, folders, HOME, network."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from commands import ROOT
from PIL import Image

pytestmark = pytest.mark.slow
QUIET = "callbacks.progress=null threads=1"
SMALL = """
mount -t tmpfs -o size=64m tmpfs /dev/shm && head -c 63M /dev/zero >/dev/shm/of_others
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && cd "$1" || exit 99
unset HOME
"""
FULL = """
mount -t tmpfs -o size=120k tmpfs "$1" || exit 99
"""


def run_in_container(script, folder):
    """Run a shell script in namespaces of its own, without a network; ``$1`` is the folder."""
    words = ["unshare", "-rmn", "bash", "-c", script, "-", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_API_KEY": "0" * 40}
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError:
        pytest.skip("this machine has no unshare")
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("this machine permits no mount in a namespace")
    return done


def test_a_training_needs_neither_memory_to_share_nor_home_nor_network(tmp_path):
    """Two workers decode batches of 1.2 MB into 1 MB of ``/dev/shm``; the folder is read-only."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 224, 224, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        path = tmp_path / "ro" / "images" / "train" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    settings = (
        "architecture=nasnet_a network.filters=8 network.cells=1 network.stem=imagenet "
        "trainer.max_epochs=1 data=image_folder data.root=images data.image_size=224 "
        f"data.num_workers=2 data.batch_size=8 data.validation=0.25 {QUIET}"
    )
    train = f"{sys.executable} {ROOT}/train.py {settings}"
    refused = run_in_container(f"{SMALL} exec {train}", tmp_path / "ro")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "read-only file system" in refused.stderr
    run = f"hydra.run.dir={tmp_path}/run"
    done = run_in_container(f"{SMALL} exec {train} {run}", tmp_path / "ro")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("/dev/shm is too small for the batches") == 1
    assert done.stdout.count("W&B records offline") == 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "complete"


def test_a_search_on_a_full_disk_is_one_line_and_goes_on_after_room_was_made(tmp_path):
    search = (
        f"{sys.executable} search.py experiment=nas_bench_201 method=random_search "
        f"method.samples=40 logger=csv {QUIET} hydra.run.dir=$1/run"
    )
    resume = f"{sys.executable} search.py resume=$1/run"
    script = f"{FULL} {search}; echo status $?; mount -o remount,size=60m $1; {resume}"
    done = run_in_container(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "status 2" in done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert "trials.sqlite: database or disk is full" in done.stderr
    assert "Traceback" not in done.stdout
    assert "report        " in done.stdout
