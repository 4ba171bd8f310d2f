"""An operation from outside of the project: searched, trained, drawn, exported and resumed."""

import pytest
from commands import run, status_of, succeed

from lightning_nas.files import read_json

OPERATION = "gated_conv"
SEARCHES = {
    "ENAS micro": ["space=gated"],
    "NASNet": [
        "experiment=nasnet_digits",
        f"+operations.nasnet.{OPERATION}=gated_conv.GatedConv",
        f"space.operations=[{OPERATION},identity]",
    ],
}
QUIET = ["logger=csv", "callbacks.progress=null", "debug=smoke"]


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_an_added_operation_is_searched_trained_drawn_and_exported(search, configs, tmp_path):
    found, trained, exported = (tmp_path / name for name in ("search", "train", "export"))
    own = ["--config-dir", configs, *SEARCHES[search]]
    succeed("search.py", *own, *QUIET, f"hydra.run.dir={found}")
    architecture = read_json(found / "architecture.json")
    cells = architecture["normal"], architecture["reduction"]
    assert OPERATION in {n for c in cells for b in c["blocks"] for n in b["operations"]}
    assert "gated conv" in (found / "architecture.svg").read_text()  # in the legend
    assert OPERATION in (found / "report.html").read_text()

    train = [f"architecture={found}", *QUIET, "export=[python,onnx]", f"hydra.run.dir={trained}"]
    mine = ["--config-dir", configs]  # without it, no command would run the operation
    assert run("train.py", *train)[0] == 2
    succeed(
        "train.py", *mine, *train
    )  # every export is compared with the network before it is kept
    assert {path.suffix for path in (trained / "export").iterdir()} >= {".py", ".onnx"}

    again = ["mode=export", f"weights={trained}", "export=onnx", f"hydra.run.dir={exported}"]
    succeed("train.py", *mine, *again, "logger=csv")
    assert list((exported / "export").glob("*.onnx"))

    more = "trainer.max_epochs=3" if search == "ENAS micro" else "method.samples=6"
    succeed("search.py", *mine, f"resume={found}", more)
    succeed("-m", "lightning_nas.report", *mine, found)
    assert status_of(found) == "complete"
    if search == "ENAS micro":
        few = ["--architectures=3", "--sampled=0", "--epochs=1", "--batches=2"]
        succeed("-m", "lightning_nas.judge", *mine, found, *few)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("gated_conv.GatedCnv", "not found"),
        ("torch.nn.ReLU", "operations.enas.gated_conv with 8 to 8 channels and stride 1"),
    ],
)
def test_an_unusable_operation_is_refused_before_the_search(factory, reason, configs, tmp_path):
    status, _, errors = run(
        "search.py", "--config-dir", configs, "space=gated", *QUIET,
        f"operations.enas.gated_conv={factory}", f"hydra.run.dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert status == 2
    assert errors.startswith("error: ")
    assert reason in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()
