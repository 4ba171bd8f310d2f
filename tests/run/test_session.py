"""Reports at the end of a run: failures are logged and leave the results."""

import pytest

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
