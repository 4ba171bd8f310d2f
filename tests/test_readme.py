"""Every command of the README and of docs/commands.md runs, shortened."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.io import write_jpeg

ROOT = Path(__file__).parents[1]
PAGES = "\n".join((ROOT / name).read_text() for name in ("README.md", "docs/commands.md"))
ENDLESS = "python -m lightning_nas.watch"  # tests/test_watch.py
LEFT_OUT = ("make", "source", "export", "lightning_nas/", "configs/", "seed=", ENDLESS)
OUTSIDE = {"PYTHONPATH": "tests/outside"}  # what the README exports, for a method from there
QUIET = ["callbacks.progress=null", "logger=csv"]
SHORT_SEARCH = ["trainer.max_epochs=1", "method.controller_steps=1", "method.controller.samples=2",
                "method.controller_batch=2", "callbacks.derive.samples=1", "space.blocks=1",
                "supernet.filters=4", "data.batch_size=8", "data.validation=0.25",
                "judge.at_end=false", "method.finalists=1", "method.finalist_epochs=1"]  # fmt: skip
SHORT_JUDGING = ["--architectures=3", "--sampled=1", "--epochs=1", "--batches=10",
                 "evaluation.network.filters=4"]  # fmt: skip
JUDGE_FEW = ["judge.architectures=3", "judge.sampled=0", "judge.derived_seeds=1",
             "judge.epochs=1", "judge.batches=2"]  # fmt: skip
SHORT_TRAINING = ["trainer.max_epochs=1", "network.filters=8", "data.batch_size=8"]


def commands():
    """Return the commands in code blocks, and the first command in each row of a table."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGES, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    rows = re.findall(r"^\| [^|`]+ \|[^|`]*`([^`]+)`", PAGES, flags=re.MULTILINE)
    found = dict.fromkeys(line for line in (*lines, *rows) if line)  # each command once
    return [line for line in found if not line.startswith(LEFT_OUT)]


def shortened(command, run, trained, images, runs):
    """Return the words of a command that takes seconds, with RUN, TRAINED and DIR filled in."""
    if command.startswith("build_network"):
        given = "from lightning_nas import build_network, load_architecture; "
        return [sys.executable, "-c", given + command]
    words = shlex.split(command)
    if words[0] != "python":  # settings alone: they go with either script
        words = ["python", "search.py", *words]
    script, given = words[1], [w.replace("TRAINED", str(trained)) for w in words[2:]]
    given = [w.replace("RUN", str(run)) for w in given]
    given = [w.replace("DIR", str(images)) for w in given]
    names = {word.split("=")[0] for word in given}
    more = [] if script == "-m" else [*QUIET]
    if given[:1] == ["lightning_nas.judge"]:
        more = SHORT_JUDGING
    if "resume" in names:
        more = [*QUIET[:1], "trainer.max_epochs=3"]
    elif script == "search.py":
        more += SHORT_SEARCH if "data" in names else ["debug=smoke"]
        more += JUDGE_FEW if "judge.at_end" in names else []
    elif script == "train.py" and "mode" in names:
        pass
    elif script == "train.py" and "weights" in names:
        more += ["trainer.max_epochs=1", "data.batch_size=8"]
        more += ["data.validation=0.25"] if "data" in names else []
    elif script == "train.py":
        more += SHORT_TRAINING
        if "imagenet" in command:
            more += ["data.num_workers=0", "trainer.precision=32-true"]
        of_data = ["network.cells=1", "data.validation=0.25", f"data.root={images}"]
        more += of_data if "data" in names else []
    more += ["hydra.sweeper.n_trials=2"] if "hydra/sweeper" in names else []
    more = [] if "benchmarks" in command else more
    if script != "-m" and "resume" not in names:
        more += [f"paths.runs={runs}"]
    more = [word for word in more if word.split("=")[0] not in names]
    return [sys.executable, script, *given, *more]


def run(words):
    result = subprocess.run(
        words, cwd=ROOT, env=os.environ | OUTSIDE, text=True, capture_output=True, timeout=900
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    settings = ["debug=smoke", *QUIET, "space.blocks=2", f"hydra.run.dir={folder}"]
    run([sys.executable, "search.py", *settings])
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    settings = ["debug=smoke", *QUIET, "architecture=nasnet_a", f"hydra.run.dir={folder}"]
    run([sys.executable, "train.py", *settings])
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten classes, as CIFAR-10 has, of five images of its size."""
    folder = tmp_path_factory.mktemp("images")
    torch.manual_seed(0)
    for split in ("train", "test"):
        for number in range(10):
            (folder / split / f"class {number}").mkdir(parents=True)
            for index in range(5):
                pixels = torch.randint(256, (3, 32, 32), dtype=torch.uint8)
                write_jpeg(pixels, str(folder / split / f"class {number}" / f"{index}.jpg"))
    return folder


def test_the_readme_has_commands():
    assert len(commands()) > 15


def paths():
    """Return the paths in the sentences and tables of the README, without those of run folders."""
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    ends = r"/[\w./<>-]*|\.(?:py|md|yaml|ipynb)"  # a folder, or the end of a file name
    spans = re.findall(rf"`([\w./-]*(?:{ends}))`", text)
    return dict.fromkeys([*spans, *re.findall(r"(?:\]\(|src=\")([^:)\"#]+)[)\"#]", text)])


def test_every_path_of_the_readme_is_relative_to_the_root_and_exists():
    assert len(paths()) > 60
    missing = [path for path in paths() if not any(ROOT.glob(path.replace("<name>", "*")))]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_runs(command, searched, trained, images, tmp_path, monkeypatch):
    if "optuna" in command:
        pytest.importorskip("optuna", reason="pip install -r requirements-optuna.txt")
    words = shortened(command, searched, trained, images, tmp_path)
    if words[1:3] == ["-m", "lightning_nas.report.draw"]:
        words[-1] = str(tmp_path / words[-1])  # what it writes goes elsewhere
    run(words)
