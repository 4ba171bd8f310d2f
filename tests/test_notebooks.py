"""The notebooks: committed without outputs, and each runs from its folder as Jupyter starts it."""

import ast

import nbformat
import pytest
from commands import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LONGEST = 1_800  # seconds of a cell before it counts as hung


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def project(tmp_path):
    """The project as links, so that runs are written elsewhere."""
    for name in ("lightning_nas", "configs", "search.py", "train.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def executed(path, folder):
    """The notebook with its outputs, run by a kernel of this interpreter in a folder."""
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=LONGEST,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_there_are_five():
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5"]


@BY_NAME
def test_a_notebook_is_valid_and_has_no_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


@BY_NAME
def test_its_code_compiles_and_it_opens_with_what_the_reader_does(path):
    notebook = read(path)
    for cell in code_cells(notebook):
        ast.parse(TransformerManager().transform_cell(cell.source))
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert "In this notebook you" in first.source


@pytest.mark.slow
@BY_NAME
def test_it_runs_where_jupyter_starts_and_shows_pictures(path, project):
    shown = outputs(executed(path, project / "notebooks"))
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 2
    streams = [output for output in shown if output.output_type == "stream"]
    assert [output.text for output in streams if output.name == "stderr"] == []
    assert not any("Traceback" in output.text or "error:" in output.text for output in streams)


@pytest.mark.slow
def test_it_runs_from_the_root_of_the_project(project):
    executed(NOTEBOOKS[3], project)
    assert (project / "runs" / "notebook" / "cell.png").exists()
