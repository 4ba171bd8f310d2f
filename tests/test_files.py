"""Writing files: atomic, and never in place of a device."""

import errno
import os

import pytest

from lightning_nas.errors import InputError
from lightning_nas.files import name_part, remove_parts, replace_file, replace_text


def test_a_device_and_a_pipe_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("pipe", "device"):
        with pytest.raises(InputError, match="not a regular file"):
            replace_text(tmp_path / name, "x")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "device"}


def test_an_error_while_writing_names_the_file_and_leaves_the_old_one(tmp_path):
    def fail(part):
        part.write_text("half")
        raise OSError(errno.ENOSPC, "disk full")

    path = tmp_path / "x.txt"
    replace_text(path, "old")
    with pytest.raises(OSError, match="full") as raised:
        replace_file(path, fail)
    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_files_of_processes_that_have_ended_are_removed(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    own = name_part(folder / "last.ckpt")
    left = [folder / "last.4194999.part.ckpt", tmp_path / "report.4194999.part.html"]
    other = folder / "my.part.txt"
    for path in (own, *left, other):
        path.write_text("x")
    remove_parts(tmp_path)
    assert own.exists()
    assert other.exists()
    assert not any(path.exists() for path in left)
