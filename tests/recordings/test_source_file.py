"""Bytes come as they lie in a file, past the system's cache or out of it, and who follows it gets them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib.recordings import source_file
from meagan_lib.recordings.source_file import PAGE, SourceFile
from meagan_lib.workflow.files import followers

BYTES = np.random.default_rng(0).bytes(5 * PAGE + 123)


@pytest.fixture(params=[False, True], ids=["out of the cache", "past it"])
def source(request, tmp_path, monkeypatch) -> SourceFile:
    monkeypatch.setattr(source_file, "is_large", lambda size: request.param)
    (tmp_path / "chip.brw").write_bytes(BYTES)
    return SourceFile(str(tmp_path / "chip.brw"))


def test_pieces_are_the_bytes_of_the_file_and_outlast_those_that_follow(source):
    @given(st.lists(st.tuples(*[st.integers(0, len(BYTES))] * 2), max_size=8))
    @settings(max_examples=50, deadline=None)
    def check(spans):
        spans = [sorted(span) for span in spans]
        pieces = [source.read(*span) for span in spans]
        assert [piece.tobytes() for piece in pieces] == [BYTES[a:b] for a, b in spans]
        assert not any(piece.flags.writeable for piece in pieces)

    check()


def test_room_is_used_again_once_nobody_sees_it(source):
    for _ in range(3):
        view = source.read(10, 2 * PAGE)[5:]
        assert not source.rooms
        del view
        assert len(source.rooms) == bool(source.direct)


def test_a_file_that_ends_early_is_an_error(source):
    for end in (len(BYTES) + 1, len(BYTES) + 3 * PAGE):
        with pytest.raises(OSError, match="the file ends before its byte"):
            source.read(7, end)


def test_a_follower_gets_what_is_read_of_its_file_alone(source, tmp_path, monkeypatch):
    (tmp_path / "other.brw").write_bytes(BYTES)
    (tmp_path / "link.brw").symlink_to(tmp_path / "chip.brw")
    told = []
    monkeypatch.setitem(followers, str(tmp_path.resolve() / "chip.brw"), lambda *piece: told.append(piece))
    source.read(3, 9)
    SourceFile(str(tmp_path / "other.brw")).read(0, 5)
    SourceFile(str(tmp_path / "link.brw")).read(20, 9000)
    assert [(begin, bytes(piece)) for begin, piece in told if len(piece) > 1] == [(3, BYTES[3:9]), (20, BYTES[20:9000])]


def test_a_disk_that_has_no_way_past_the_cache_is_read_through_it(tmp_path, monkeypatch):
    monkeypatch.setattr(source_file, "is_large", lambda size: True)
    monkeypatch.setattr(os, "O_DIRECT", os.O_DIRECTORY, raising=False)  # what the system refuses of a file
    Path(tmp_path / "chip.brw").write_bytes(BYTES)
    source = SourceFile(str(tmp_path / "chip.brw"))
    assert not source.direct and source.read(5, PAGE).tobytes() == BYTES[5:PAGE]
