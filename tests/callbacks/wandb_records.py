"""Offline records of W&B, and the commands that leave them."""

import json
import struct
from pathlib import Path

from commands import run, start
from wandb.proto import wandb_internal_pb2

BLOCK = 32_768


def records(path):
    """The records of an offline run: LevelDB's log format after a header of seven bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # complete, or the last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def items(found):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in found}


def search(home, *arguments, script="search.py", start=start, **more):
    """Run a search whose home folder is empty: there is no account."""
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(home), **more}
    status, output, errors = run(script, *arguments, start=start, environment=environment)
    assert status == 0, errors
    return output + errors


class Record:
    """What an offline record holds.

    Attributes:
        logged: All that was logged, a dictionary for each time.
        summary: The last value of what the summary was given.
        artifacts: The artifacts in their order, as W&B's own messages.
    """

    def __init__(self, path):
        self.folder = path.parent
        found = list(records(path))
        self.logged = [items(r.history.item) for r in found if r.HasField("history")]
        updates = (item for r in found for item in r.summary.update)
        self.summary = {item.key: json.loads(item.value_json) for item in updates if item.key}
        self.artifacts = [r.artifact for r in found if r.HasField("artifact")]

    def files(self, name):
        """The files of the last artifact whose name begins so: path inside it, path on the disk."""
        (*_, found) = (a for a in self.artifacts if a.name.startswith(name))
        return {entry.path: Path(entry.local_path) for entry in found.manifest.contents}

    def table(self):
        """The rows of the last table of architectures, and the files beside it."""
        files = self.files(f"run-{self.folder.name[-8:]}-top")
        table = json.loads(files["top.table.json"].read_text())
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]], files


def records_of(folder):
    """The records of a run folder, the first first."""
    return [Record(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]
