"""Whether a gallery is online, and whether a photo is gone."""

from pathlib import Path

import pytest

from storage import availability, filesystems
from storage.settings_gallery import GallerySettings


def why(path: Path, known: list[str], identity: str | None = None, **wishes: Path) -> str | None:
    point = wishes.get("mount_point")
    return availability.why_offline(path, point, identity, lambda count: list(map(Path, known)))


def test_a_gallery_of_which_nothing_is_known_may_be_any_folder(tmp_path):
    assert why(tmp_path, []) is None


def test_a_missing_folder_is_offline(tmp_path):
    assert "is not there" in str(why(tmp_path / "away", []))
    assert "is not there" in str(why(tmp_path / "away", ["cat.jpg"]))


def test_an_empty_folder_where_photos_are_known_is_offline(tmp_path):
    (tmp_path / "lost+found").mkdir()
    assert "is empty" in str(why(tmp_path, ["cat.jpg"], filesystems.identity(str(tmp_path))))


def test_another_folder_is_offline_unless_it_holds_half_of_what_is_known(tmp_path):
    (tmp_path / "cat.jpg").touch()
    assert why(tmp_path, ["cat.jpg", "dog.jpg"], "ext4 elsewhere") is None
    reason = str(why(tmp_path, ["cat.jpg", "dog.jpg", "cow.jpg"], "ext4 elsewhere"))
    assert "holds 1 of 3" in reason and "findmnt -T" in reason


def test_the_same_folder_may_lose_any_photos_but_not_all(tmp_path):
    (tmp_path / "new.jpg").touch()
    assert why(tmp_path, ["cat.jpg", "dog.jpg"], filesystems.identity(str(tmp_path))) is None


def test_a_folder_that_must_be_mounted_is_offline_while_it_is_not(in_namespace, tmp_path):
    (tmp_path / "point").mkdir()
    assert "nothing is mounted" in str(why(tmp_path, [], mount_point=tmp_path / "point"))
    assert in_namespace("""
point = Path(os.getcwd(), "point")
sh("mount", "-t", "tmpfs", "share", point)
print(availability.why_offline(point, point, None, lambda count: []))
""") == ["None"]


def test_a_folder_that_cannot_be_listed_is_offline(tmp_path):
    file = tmp_path / "gallery"
    file.touch()
    assert "cannot be read" in str(why(file, []))


def gone(photo: str, folder: Path, known: list[str], identity: str | None, **wishes: Path) -> bool:
    gallery = GallerySettings(folder, **wishes)
    return availability.is_gone(
        Path(photo), gallery, identity, lambda count: list(map(Path, known))
    )


def test_a_photo_is_gone_only_from_a_gallery_that_is_online(tmp_path):
    folder = tmp_path / "gallery"
    folder.mkdir()
    (folder / "here.jpg").touch()
    (folder / "link.jpg").symlink_to("nowhere")
    identity = filesystems.identity(str(folder))
    known = ["here.jpg", "cat.jpg"]
    assert gone("cat.jpg", folder, known, identity)
    assert not gone("here.jpg", folder, known, identity)
    assert not gone("link.jpg", folder, known, identity)
    assert gone("cat.jpg", folder, known, "nfs on another machine")
    assert not gone("cat.jpg", folder, ["cat.jpg", "dog.jpg", "here.jpg"], "ext4 elsewhere")
    assert not gone("cat.jpg", folder, known, identity, mount_point=folder)
    (folder / "here.jpg").unlink()
    (folder / "link.jpg").unlink()
    (folder / ".photomendignore").touch()
    assert not gone("cat.jpg", folder, known, identity)
    assert not gone("cat.jpg", tmp_path / "away", known, identity)


@pytest.mark.parametrize("known", [[], ["cat.jpg"], ["cat.jpg", "here.jpg"]])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("others", [[], ["here.jpg"], ["lost+found"]])
def test_watcher_and_worker_judge_alike(tmp_path, known, same, others):
    for name in others:
        (tmp_path / name).touch()
    identity = filesystems.identity(str(tmp_path)) if same else "nfs elsewhere"
    online = why(tmp_path, known, identity) is None
    assert gone("cat.jpg", tmp_path, known, identity) == online
