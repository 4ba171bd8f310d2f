"""W&B that answers with an error, or not at all: the run goes on, and its record is offline."""

import http.server
import threading
import time

import pytest
from wandb_records import records_of, search

TABLE = ["experiment=nas_bench_201", "method=random_search", "method.samples=4"]
KEY = "0" * 40


class Refusal(http.server.BaseHTTPRequestHandler):
    """Answer to every request: the status, or silence, that the server was started with."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.status is None:
            time.sleep(60)
            return
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def start_server():
    servers = []

    def start(status, body=b'{"errors": [{"message": "no"}]}'):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
        server.daemon_threads = True
        server.status, server.body = status, body
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()


def is_offline(folder, output):
    """Check that there is one warning, and a whole offline record."""
    warnings = [line for line in output.splitlines() if "W&B records offline" in line]
    assert len(warnings) == 1, output
    assert records_of(folder)[-1].summary["status"] == "complete"
    assert (folder / "report.html").exists()
    return warnings[0]


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404, 500, None])
def test_a_server_that_refuses_the_record_does_not_end_the_run(status, start_server, tmp_path):
    settings = [*TABLE, "callbacks.progress=null", f"hydra.run.dir={tmp_path}/run"]
    more = {"WANDB_BASE_URL": start_server(status), "WANDB_API_KEY": KEY}
    output = search(tmp_path, *settings, **more)
    is_offline(tmp_path / "run", output)
    output = search(tmp_path, f"resume={tmp_path}/run", "method.samples=6", **more)
    is_offline(tmp_path / "run", output)
    ids = {path.name for path in (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")}
    assert len(ids) == 1  # the resumed run goes on in the same record


@pytest.mark.slow
def test_a_record_that_was_deleted_on_the_server_gets_a_new_id(start_server, tmp_path):
    body = b'{"errors": [{"message": "run was previously created and deleted"}]}'
    settings = [*TABLE, "callbacks.progress=null", f"hydra.run.dir={tmp_path}/run"]
    search(tmp_path, *settings)
    first = (tmp_path / "run" / "wandb_id.txt").read_text()
    output = search(
        tmp_path, f"resume={tmp_path}/run", "method.samples=6",
        WANDB_BASE_URL=start_server(409, body), WANDB_API_KEY=KEY,
    )  # fmt: skip
    is_offline(tmp_path / "run", output)
    assert (tmp_path / "run" / "wandb_id.txt").read_text() != first


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"WANDB_API_KEY": "too short"},
        {"WANDB_MODE": "online"},
        {"WANDB_MODE": "online", "WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"},
        {"HOME": "/nonexistent"},
    ],
    ids=str,
)
def test_a_bad_key_and_no_network_do_not_end_the_run(more, tmp_path):
    settings = [*TABLE, "callbacks.progress=null", f"hydra.run.dir={tmp_path}/run"]
    is_offline(tmp_path / "run", search(tmp_path, *settings, **more))
