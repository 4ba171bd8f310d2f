"""What a run hands to W&B beside its curves, read back from offline records."""

import base64
import hashlib
import json
import re
import signal
import sqlite3

import pytest
from commands import ROOT, start, start_python, wait_for
from wandb.sdk.launch.sweeps.utils import load_sweep_config
from wandb_records import records_of, search

from lightning_nas.callbacks.wandb_upload import finish_record, upload
from lightning_nas.published import load_architecture
from lightning_nas.report.draw import draw
from lightning_nas.report.shares import count_shares
from lightning_nas.spaces.edge_cell import EdgeCellSpace

pytestmark = pytest.mark.slow  # real searches, one after the other

ARCHITECTURE = ("architecture.json", "architecture.svg", "architecture.png")
TABLE = ["experiment=nas_bench_201", "method.samples=40", "method.finalists=0",
         "callbacks.progress=null"]  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The run folder of a search whose table is logged at every update."""
    folder = tmp_path_factory.mktemp("searched")
    search(folder, *TABLE, "callbacks.live.seconds=0", f"hydra.run.dir={folder}/run")
    return folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    small = ["architecture=nasnet_a", "debug=smoke", "callbacks.progress=null"]
    search(folder, *small, f"hydra.run.dir={folder}/run", script="train.py")
    return folder / "run"


def journal(folder, what, more=""):
    with sqlite3.connect(folder / "trials.sqlite") as database:
        return database.execute(f"SELECT {what} FROM trials {more}").fetchall()


def test_the_table_has_the_best_of_the_journal(searched):
    (record,) = records_of(searched)
    rows, _ = record.table()
    best = journal(
        searched, "number, reward, parameters", "WHERE same_as IS NULL ORDER BY reward DESC LIMIT 5"
    )
    assert [(row["trial"], row["reward"]) for row in rows] == [one[:2] for one in best]
    assert [row["parameters"] for row in rows] == [one[2] for one in best]


def test_each_row_has_the_picture_of_its_architecture(searched, tmp_path):
    (record,) = records_of(searched)
    rows, files = record.table()
    for place, row in enumerate(rows, start=1):
        draw(load_architecture(str(searched / "top" / f"{place}.json")), tmp_path / "drawn.png")
        assert files[row["picture"]["path"]].read_bytes() == (tmp_path / "drawn.png").read_bytes()


def test_a_search_that_runs_long_shows_its_table_as_it_goes(searched):
    (record,) = records_of(searched)
    tables = [row for row in record.logged if "top/nrows" in row]
    updates = [row for row in record.logged if "controller/reward" in row]
    assert len(tables) == len(updates) + 1  # at every update, and the one at the end


def test_artifacts_have_the_files_of_the_run_folder(searched, trained):
    wanted = {
        (searched, "architecture"): [searched / name for name in ARCHITECTURE],
        (searched, "checkpoint"): [searched / "checkpoints" / "last.ckpt"],
        (trained, "architecture"): [trained / name for name in ARCHITECTURE],
        (trained, "checkpoint"): [trained / "checkpoints" / "best.ckpt"],
    }
    for (folder, name), paths in wanted.items():
        (record,) = records_of(folder)
        files = record.files(f"{name}-")
        assert {inside: file.read_bytes() for inside, file in files.items()} == {
            path.name: path.read_bytes() for path in paths
        }


def test_the_report_is_an_artifact_of_a_search(searched):
    (record,) = records_of(searched)
    assert (
        record.files("report-")["report.html"].read_bytes()
        == (searched / "report.html").read_bytes()
    )


def test_all_that_a_sync_needs_lies_in_the_record(searched, trained):
    for folder in (searched, trained):
        (record,) = records_of(folder)
        entries = [entry for one in record.artifacts for entry in one.manifest.contents]
        assert entries
        assert all(entry.local_path.startswith(f"{record.folder}/") for entry in entries)
        for row in record.logged:
            for name in (value for key, value in row.items() if key.endswith("/path")):
                assert (record.folder / "files" / name).exists()


def test_the_shares_of_operations_are_those_of_each_batch(searched):
    (record,) = records_of(searched)
    logged = [row for row in record.logged if any(n.startswith("operations/") for n in row)]
    asked = journal(searched, "tokens", "WHERE arm = 'policy' ORDER BY ended")
    tokens = [json.loads(text) for (text,) in asked]
    architectures = [EdgeCellSpace().decode(given) for given in tokens]
    assert len(logged) == 2
    for update, row in enumerate(logged):
        expected = count_shares(architectures[20 * update : 20 * update + 20])
        found = {n: share for n, share in row.items() if n.startswith("operations/") and share}
        assert found == pytest.approx(expected)
    updates = [row for row in record.logged if "controller/reward" in row]
    steps = [[row["trainer/global_step"] for row in rows] for rows in (logged, updates)]
    assert steps == [[0, 1], [0, 1]]


def test_the_summary_has_the_numbers_of_the_runs_own(searched, trained):
    for folder in (searched, trained):
        (record,) = records_of(folder)
        facts = json.loads((folder / "summary.json").read_text())
        numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
        assert numbers.items() <= record.summary.items()
        assert record.summary["status"] == "complete"


def test_the_example_of_a_sweep_aims_at_one_of_them(searched):
    (record,) = records_of(searched)
    sweep = load_sweep_config(str(ROOT / "sweeps" / "nasnet_digits.yaml"))
    assert sweep["metric"]["name"] in record.summary


@pytest.mark.parametrize("method", ["enas", "nas", "nasnet"])
def test_the_methods_pages_name_all_of_it(searched, method):
    (record,) = records_of(searched)
    page = (ROOT / "lightning_nas" / "methods" / f"{method}.md").read_text()
    named = page.split("| item | meaning |")[1].split("\n\n")[0]
    logged = {re.split("[/_]", name)[0] for row in record.logged for name in row if name[0] != "_"}
    for name in logged - {"trials", "controller", "epoch", "trainer"}:  # in the other table
        assert f"\n| {name}" in named
    for artifact in record.artifacts:
        kind, _ = artifact.name.split("-", 1)
        assert kind == "run" or f"`{kind}-ID`" in named  # the first are of tables


def test_a_checkpoint_that_is_replaced_later_stays_as_it_was_logged(searched, tmp_path):
    """A run that is complete and resumed for more writes a second record and a new checkpoint."""
    search(tmp_path, f"resume={searched}", "method.samples=50")
    first, second = records_of(searched)
    for record in (first, second):
        (entry,) = (e for a in record.artifacts for e in a.manifest.contents if "ckpt" in e.path)
        digest = hashlib.md5(record.files("checkpoint-")["last.ckpt"].read_bytes()).digest()
        assert base64.b64encode(digest).decode() == entry.digest
    assert first.files("checkpoint-") != second.files("checkpoint-")
    best = journal(searched, "reward", "WHERE same_as IS NULL ORDER BY reward DESC LIMIT 5")
    assert [row["reward"] for row in second.table()[0]] == [reward for (reward,) in best]


def test_an_interrupted_search_shows_what_it_had_and_leaves_its_checkpoint_alone(tmp_path):
    settings = [*TABLE, "method.samples=100000", f"hydra.run.dir={tmp_path}/run"]
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    process = start("search.py", *settings, environment=environment)
    wait_for(tmp_path / "run" / "checkpoints" / "last.ckpt")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    (record,) = records_of(tmp_path / "run")
    assert record.summary["status"] == "interrupted"
    best = journal(tmp_path / "run", "reward", "WHERE same_as IS NULL ORDER BY reward DESC LIMIT 5")
    assert [row["reward"] for row in record.table()[0]] == [reward for (reward,) in best]
    assert not [one for one in record.artifacts if one.name.startswith("checkpoint")]


def test_without_a_record_nothing_happens(tmp_path):
    upload(tmp_path)


def test_a_disabled_logger_costs_no_picture(tmp_path):
    search(
        tmp_path, *TABLE, "callbacks.live.seconds=0", f"hydra.run.dir={tmp_path}/run",
        WANDB_MODE="disabled",
    )  # fmt: skip
    assert not list(tmp_path.rglob("*.wandb"))
    pictures = {path.name for path in (tmp_path / "run").rglob("*.png")}
    assert pictures == {"architecture.png"}


def test_a_search_without_the_logger_does_not_import_wandb(tmp_path):
    told = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path('search.py', {}, '__main__');"
        "ours = {'wandb', 'lightning_nas.callbacks.wandb_live'};"
        "print('imported', sorted(ours & set(sys.modules)))"
    )
    settings = [*TABLE, "logger=csv", f"hydra.run.dir={tmp_path}/run"]
    output = search(tmp_path, told, "search.py", *settings, script="-c", start=start_python)
    assert "imported ['lightning_nas.callbacks.wandb_live']" in output


@pytest.mark.slow
def test_of_two_processes_the_first_alone_records(tmp_path):
    search(
        tmp_path, "debug=smoke", "callbacks.progress=null", "space.blocks=2", "trainer.devices=2",
        "trainer.strategy=ddp_find_unused_parameters_true", f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    (record,) = records_of(tmp_path / "run")
    names = [one.name.split("-")[0] for one in record.artifacts]
    assert sorted(names) == ["architecture", "checkpoint", "report", "run"]
    best = journal(tmp_path / "run", "reward", "WHERE arm = 'derived' ORDER BY reward DESC LIMIT 1")
    assert [record.table()[0][0]["reward"]] == [reward for (reward,) in best]


def test_what_goes_wrong_with_the_record_takes_nothing_from_the_run(tmp_path, caplog):
    finish_record(tmp_path / "no such folder")  # without a record there is nothing to add
    assert not caplog.records
    (tmp_path / "summary.json").write_text("{}")  # has no status
    told = (
        "import pathlib, sys, wandb; "
        "from lightning_nas.callbacks.wandb_upload import finish_record;"
        "wandb.init(dir=sys.argv[1], mode='offline', settings=wandb.Settings(silent=True));"
        "finish_record(pathlib.Path(sys.argv[1])); print('ended', wandb.run)"
    )
    output = search(tmp_path, told, tmp_path, script="-c", start=start_python)
    assert f"W&B did not receive all results of this run; they are in {tmp_path}" in output
    assert "ended None" in output
