"""``python -m lightning_nas.watch``: a page of a running search that only reads."""

import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from commands import ROOT
from PIL import Image

from lightning_nas.report.page import CONTENT_POLICY
from lightning_nas.storage.lock import lock_folder
from lightning_nas.watch import LivePage, make_server
from tests.report.browser import BROWSER
from tests.report.folders import shared_search, trial_search


@contextmanager
def served(folder):
    with make_server(LivePage(folder), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def get(address, **headers):
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
        return answer.read().decode(), answer.headers


@pytest.fixture
def running(tmp_path):
    """A search of 200 architectures, 120 of which have ended."""
    budget = {"cost": None}
    method = {"budget": budget, "samples": 200}
    folder = trial_search(tmp_path / "run", status="", method=method)
    with lock_folder(folder):
        yield folder


def test_the_page_shows_the_progress_and_reloads_until_the_search_has_ended(running):
    with served(running) as address:
        page, headers = get(address)
        assert re.search(
            r"Running:</strong> 120 of 200 architectures, 0 not evaluated yet, .* of training, "
            r"began .* ago, about .* left",
            page,
        )
        assert "Partial report" not in page
        assert 'http-equiv="refresh"' in page
        assert headers["Content-Security-Policy"] == CONTENT_POLICY
        (running / "run.lock").unlink()
        page, _ = get(address)
        assert "Running:" not in page
        assert 'http-equiv="refresh"' not in page
        assert "Partial report" in page


def test_a_shared_search_counts_epochs(tmp_path):
    folder = shared_search(tmp_path / "run")
    with lock_folder(folder), served(folder) as address:
        assert re.search(r"Running:</strong> \d+ epochs, began", get(address)[0])


def test_a_search_without_a_trial_is_waited_for(tmp_path):
    folder = trial_search(tmp_path / "run", count=0, status="")
    with served(folder) as address:
        page, _ = get(address)
    assert "No architecture has been evaluated yet. This page reloads every 5 seconds." in page


def test_nothing_is_written_and_other_addresses_are_refused(running):
    before = {path: path.stat().st_mtime_ns for path in running.rglob("*") if path.is_file()}
    with served(running) as address:
        get(address)
        for refused, status in ((f"{address}trials.sqlite", 404), (f"{address}../run", 404)):
            with pytest.raises(urllib.error.HTTPError) as raised:
                get(refused)
            assert raised.value.code == status
        with pytest.raises(urllib.error.HTTPError) as raised:
            get(address, Host="example.org:80")  # a name that somebody gave to this machine
        assert raised.value.code == 403
    after = {path: path.stat().st_mtime_ns for path in running.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} <= {
        "trials.sqlite-shm", "trials.sqlite-wal"
    }  # fmt: skip


def test_a_folder_that_holds_no_run_is_an_error_of_one_line(tmp_path):
    command = [sys.executable, "-m", "lightning_nas.watch", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}: not a run folder (it has no .hydra/config.yaml)\n"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
def test_a_browser_shows_the_page(running, tmp_path):
    picture = tmp_path / "page.png"
    with served(running) as address:
        subprocess.run(
            [*BROWSER, "--window-size=1200,900", f"--screenshot={picture}",
             f"--user-data-dir={tmp_path / 'profile'}", address],
            check=True, timeout=120, capture_output=True,
        )  # fmt: skip
    image = Image.open(picture).convert("L")
    assert image.size == (1200, 900)
    dark = sum(image.histogram()[:128])
    assert 0.005 < dark / (1200 * 900) < 0.5  # text on a light page
