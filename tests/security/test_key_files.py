"""Files of master keys: begun and added to safely, refused without being quoted."""

import os
from pathlib import Path

import pytest

from retold.errors import InputError, UnavailableError
from retold.key_files import add_master_key, read_key_file


def test_a_new_key_goes_first_and_the_others_stay(tmp_path: Path) -> None:
    """The file is its owner's alone, the newest key wraps, and every older one still opens."""
    file = tmp_path / "deep" / "master.keys"
    keys = [add_master_key(file, name) for name in ("k1", "k2", "k3")]
    assert read_key_file(file).keys == tuple(reversed(keys))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["master.keys"]
    assert len({key.secret for key in keys}) == 3


@pytest.mark.parametrize("name", ["k1", "a b", "", "#"])
def test_a_key_that_cannot_be_added_leaves_the_file_as_it_was(tmp_path: Path, name: str) -> None:
    """An id that is taken or cannot be one is refused, and no key is lost."""
    file = tmp_path / "master.keys"
    add_master_key(file, "k1")
    before = file.read_bytes()
    with pytest.raises(InputError):
        add_master_key(file, name)
    assert file.read_bytes() == before


@pytest.mark.parametrize("body", [b"k1 bm9uc2Vuc2U=", b"\xff\xfe", b"k1 secretsecret\n" * 5_000, None])
def test_a_file_that_holds_no_keys_is_refused_without_quoting_it(tmp_path: Path, body: bytes | None) -> None:
    """A missing file, another kind of file or a damaged one is named by its path; nothing of it is shown."""
    file = tmp_path / "master.keys"
    if body is not None:
        file.write_bytes(body)
    with pytest.raises(InputError, match=r"master\.keys") as error:
        read_key_file(file)
    assert "bm9uc2Vuc2U" not in str(error.value)
    assert "secretsecret" not in str(error.value)


def test_a_key_file_where_nothing_can_be_written_is_unavailable(tmp_path: Path) -> None:
    """If the file cannot be written, I am told so, and which."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UnavailableError, match="expected to write the key file"):
        add_master_key(tmp_path / "file" / "master.keys", "k1")


def test_a_new_key_is_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss of power after I made a key loses neither the file nor a directory that was made for it."""
    synced: list[tuple[int, int]] = []
    sync = os.fsync

    def remembered(descriptor: int) -> None:
        stat = os.fstat(descriptor)
        synced.append((stat.st_dev, stat.st_ino))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", remembered)
    file = tmp_path / "new" / "deep" / "master.keys"
    add_master_key(file, "k1")
    order = [(stat.st_dev, stat.st_ino) for stat in map(os.stat, (tmp_path, tmp_path / "new", file, file.parent))]
    assert set(order) <= set(synced)
    assert synced.index(order[2]) < len(synced) - 1 - synced[::-1].index(order[3])  # the name after what it names
