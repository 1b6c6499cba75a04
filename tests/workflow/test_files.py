"""Files appear whole or not at all."""

import errno
import os
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from meagan_lib import InputError, place_of_caches
from meagan_lib.recordings.source_file import SourceFile
from meagan_lib.workflow.files import (
    Hashing,
    atomic,
    followers,
    is_disk_full,
    read_json,
    read_yaml,
    refusal,
    require_room,
    sha256,
    source_hash,
    together,
    write_json,
)


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "scores.json"
    write_json(path, {"a": 1})
    before = sha256(path)
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert sha256(path) == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_or_quota_is_told_and_leaves_the_earlier_file(tmp_path, number):
    path = tmp_path / "windows.h5"
    path.write_text("earlier")
    with pytest.raises(InputError, match="the disk is full.*free some space"), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError(f"a library: {os.strerror(number)}") from OSError(number, os.strerror(number))
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_weights_are_as_readable_as_the_umask_lets_any_file_be(tmp_path, umask):
    path, before = tmp_path / "model.safetensors", os.umask(umask)
    try:
        with atomic(path) as temporary:
            save_file({"w": np.zeros(3)}, temporary)
        write_json(tmp_path / "scores.json", {})
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o666 & ~umask}


def test_two_writers_of_one_file_do_not_write_into_one_another(tmp_path):
    """Two attempts at a job of a cluster, in containers in which both have the same number."""
    path = tmp_path / "scores.json"
    with atomic(path) as first:
        first.write_text("first")
        with atomic(path) as second:
            second.write_text("second")
        assert path.read_text() == "second" and first.read_text() == "first"
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_where_the_checkout_can_only_be_read_caches_lie_elsewhere(tmp_path, monkeypatch):
    assert place_of_caches(tmp_path / ".cache") == tmp_path / ".cache"
    monkeypatch.setattr(os, "access", lambda *_: False)
    elsewhere = place_of_caches(tmp_path / ".cache")
    assert elsewhere.is_dir() and tmp_path not in elsewhere.parents


@pytest.mark.parametrize("name, told", [("pca.png", "pca.png"), ("x.truth.npz", "x.truth.npz"), (".lock", ".lock")])
def test_a_place_that_cannot_be_written_is_told_by_the_name_it_would_have(tmp_path, name, told):
    def refused(path: Path) -> OSError:
        return OSError(errno.EROFS, "Read-only file system", str(path))

    with atomic(tmp_path / name) as temporary:
        assert refusal(refused(temporary)).startswith(f"{tmp_path / told} is on a disk that can only be read")
        temporary.touch()
    with pytest.raises(OSError) as error, together([tmp_path / name]) as [temporary]:
        raise refused(temporary)
    assert f"{tmp_path / told} is on" in refusal(error.value)
    assert refusal(OSError(errno.EACCES, "")).startswith("no right to use a file of the run")
    assert refusal(OSError(errno.EIO, "", "x")) == ""
    assert refusal(OSError(errno.EROFS, "", "/")).startswith("/ is on a disk that can only be read")


@pytest.mark.parametrize(
    "name, words", [("x" * 300, "longer name"), ("file/x", "a folder is needed"), (".", "no file"), ("pipe", "no file")]
)
def test_a_path_that_cannot_be_is_refused_with_its_name_and_nothing_there_changes(tmp_path, name, words):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    try:
        write_json(tmp_path / name, {})
    except InputError as error:
        told = str(error)
    except OSError as error:
        told = refusal(error)
    assert words in told and (name == "." or name.partition("/")[0] in told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"] and (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 10**5])
def test_what_is_no_mapping_of_json_is_told_as_damaged(tmp_path, content):
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(InputError, match="scores.json is damaged: delete it"):
        read_json(tmp_path / "scores.json")


@pytest.mark.parametrize(
    "text, why",
    [
        ("[", "line 1"),
        ("a: 1\nb: {c: 1,\n c: 2}", "line 3, column 2: 'c' stands there twice"),
        (b"2024-02-30", "day is out of range"),
        (b"a: \xfc", "not in UTF-8"),
        ("[" * 10**4, "recursion"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_owner_and_the_cause(text, why):
    with pytest.raises(InputError, match=f"^x.yaml is not YAML.*{why}"):
        read_yaml(text, "x.yaml")


def test_an_error_that_says_something_else_is_no_full_disk_where_the_kernel_has_no_room():
    assert not is_disk_full(Path("/proc")) and not is_disk_full(Path("/proc"), OSError(errno.EINVAL, "Invalid"))


def test_a_folder_that_is_not_there_yet_is_no_full_disk_and_one_above_it_has_the_room(tmp_path):
    folder = tmp_path / "not" / "there"
    assert not is_disk_full(folder, OSError(errno.EROFS, "Read-only file system"))
    require_room(folder / "x.nwb", 1)
    with pytest.raises(InputError, match=f"the disk is full: .* and {tmp_path} has"):
        require_room(folder / "x.nwb", 2**60)


@pytest.fixture
def sources(tmp_path) -> list[Path]:
    """A file of a megabyte, an empty one, and a folder with two files."""
    (tmp_path / "chip.raw").write_bytes(np.random.default_rng(0).bytes(10**6 + 1))
    (tmp_path / "empty").touch()
    (tmp_path / "chip.zarr" / "0").mkdir(parents=True)
    for name in ("0/0", "meta"):
        (tmp_path / "chip.zarr" / name).write_text(name)
    return [tmp_path / name for name in ("chip.raw", "empty", "chip.zarr")]


@pytest.mark.parametrize("large", [False, True])
def test_hashes_taken_along_a_pass_are_those_of_blake3(sources, monkeypatch, large):
    monkeypatch.setattr(Hashing, "FORGOTTEN", 10**5)
    with Hashing(sources) as hashing:
        hashing.large = large
        for share in np.linspace(0, 1.1, 50):
            hashing.reached(share)
        found = hashing.finish()
    assert found[:2] == [f"blake3:{blake3(path.read_bytes()).hexdigest()}" for path in sources[:2]]
    assert found == [source_hash(path) for path in sources]


def test_hashing_stays_behind_the_pass_and_ends_with_it(sources):
    with pytest.raises(KeyboardInterrupt), Hashing(sources) as hashing:
        hashing.reached(0.6)
        while hashing.done <= hashing.limit:
            pass
        assert hashing.limit < hashing.done <= hashing.limit + 2**18 and not hashing.hashes.done()
        raise KeyboardInterrupt
    assert hashing.hashes.exception() is not None  # there is no hash of what was not read
    assert not [thread for thread in threading.enumerate() if thread in hashing.pool._threads]


@given(order=st.permutations(range(5)), cuts=st.sets(st.integers(0, 10**6 + 1)), skipped=st.integers(0, 5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_a_reader_got_is_hashed_in_the_order_of_the_file_whatever_it_read(sources, order, cuts, skipped):
    """Pieces in any order, twice, overlapping or left out: what is missing is read."""
    source, edges = SourceFile(str(sources[0])), sorted({0, 10**6 + 1, *cuts})
    spans = list(pairwise(edges))
    with Hashing(sources[:1]) as hashing:
        for span in spans[skipped:]:
            source.read(*span)
        for k in order:
            source.read(k * 10**5, (k + 2) * 10**5)
        found = hashing.finish()
    assert found == [source_hash(sources[0])] and not followers


def test_what_a_reader_got_is_not_read_again(sources):
    """The hash goes on with it, though nobody has said how far the pass is."""
    with Hashing(sources[:1]) as hashing:
        while not followers:
            pass
        tell = next(iter(followers.values()))
        for begin in range(0, 9 * 10**5, 10**5):
            tell(begin, memoryview(bytes(10**5)))  # not what lies on the disk
        while hashing.done < 9 * 10**5:
            assert hashing.limit == 0 and not hashing.hashes.done()
        found = hashing.finish()
    assert found == [f"blake3:{blake3(bytes(9 * 10**5) + sources[0].read_bytes()[-100_001:]).hexdigest()}"]


def test_a_reader_waits_while_much_is_to_be_hashed_and_not_for_a_hash_that_is_no_longer_taken(sources, monkeypatch):
    monkeypatch.setattr(Hashing, "WAITING", 1)
    source = SourceFile(str(sources[0]))
    with pytest.raises(KeyboardInterrupt), Hashing(sources[:1]) as hashing:
        for begin in range(0, 10**6, 10**4):
            source.read(begin, begin + 10**4)
            assert len(hashing.told) <= 1
        raise KeyboardInterrupt
    source.read(0, 10)
    assert not followers


@pytest.mark.parametrize("name", ["chip.raw", "chip.zarr"])
def test_a_source_that_is_written_to_while_it_is_read_is_told(sources, tmp_path, name):
    with Hashing(sources) as hashing, pytest.raises(InputError, match=f"{name} changed while it was read"):
        with open(tmp_path / name if name == "chip.raw" else tmp_path / name / "meta", "ab") as file:
            file.write(b"more")
        hashing.finish()
