"""Files appear whole or not at all."""

import errno

import pytest

from meagan_lib import InputError
from meagan_lib.files import atomic, sha256, write_json


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "scores.json"
    write_json(path, {"a": 1})
    before = sha256(path)
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert sha256(path) == before and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_and_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "windows.h5"
    path.write_text("earlier")
    with pytest.raises(InputError, match="the disk is full.*free some space"), atomic(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]
