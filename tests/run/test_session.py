"""The end of a run: reports that fail leave the results, and errors say how to go on."""

from types import SimpleNamespace

import pytest

from lightning_nas.data.decode import UnreadableImageError
from lightning_nas.run import session
from tests.report.folders import trial_search


def test_failed_report_is_logged(tmp_path, monkeypatch, caplog):
    def fail(folder, named):
        raise ZeroDivisionError("no room for a chart")

    monkeypatch.setattr(session, "write_report", fail)
    session.write_report_safely(tmp_path)
    assert "the report failed, all results are saved" in caplog.text
    assert "no room for a chart" in caplog.text


@pytest.mark.parametrize("trials", [0, 30])
def test_search_without_trials_has_no_report(trials, tmp_path, caplog):
    folder = tmp_path / "run"
    if trials:
        trial_search(folder, trials)
    else:
        folder.mkdir()
    with caplog.at_level("INFO"):
        session.write_report_safely(folder)
    assert (folder / "report.html").exists() == bool(trials)
    assert ("no report" in caplog.text) == (not trials)


@pytest.mark.parametrize("has_begun", [False, True])
def test_an_image_that_is_unreadable_in_the_middle_of_a_run_names_the_resume(tmp_path, has_begun):
    error = UnreadableImageError("x.png", "truncated", "repair it")
    run = SimpleNamespace(
        has_begun=has_begun,
        cfg=SimpleNamespace(resume=None),
        folder=SimpleNamespace(path=tmp_path, has_begun=has_begun),
    )
    session.RunSession.note_error(run, error)
    end = f"repair it; to continue: resume={tmp_path}" if has_begun else "repair it"
    assert str(error) == f"cannot read the image x.png: truncated; {end}"
