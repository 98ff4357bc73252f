"""Galleries and outputs lie apart, whatever their paths look like."""

import pytest

from storage import filesystems
from storage.errors import SettingsError
from storage.settings import make


def galleries(**tables: dict[str, str]) -> None:
    make({"galleries": tables}, "here")


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ({"path": "/p", "output": "/p/out"}, {"path": "/q"}, "lies inside the gallery a"),
        ({"path": "/p", "output": "/q/out"}, {"path": "/q"}, "lies inside the gallery b"),
        ({"path": "/p", "output": "/o/../p/out"}, {"path": "/q"}, "lies inside the gallery a"),
        ({"path": "/p", "output": "/p//./out"}, {"path": "/q"}, "lies inside the gallery a"),
        ({"path": "/p"}, {"path": "/p/", "output": "/o"}, "have the same path"),
        ({"path": "/p"}, {"path": "/q/../p", "output": "/o"}, "have the same path"),
        ({"path": "/p/2024", "output": "/o"}, {"path": "/p"}, "lies inside the gallery b"),
        ({"path": "/p", "output": "/o"}, {"path": "/q", "output": "/o"}, "a folder of its own"),
        ({"path": "/p", "output": "/o"}, {"path": "/q", "output": "/o/q"}, "a folder of its own"),
    ],
)  # fmt: skip
def test_paths_of_settings_that_lie_in_each_other_are_refused(a, b, why):
    for first, second in ((a, b), (b, a)):
        with pytest.raises(SettingsError) as refused:
            galleries(a=first, b=second)
        assert why.replace("gallery a", "gallery").replace("gallery b", "gallery") in str(
            refused.value
        ).replace("gallery a", "gallery").replace("gallery b", "gallery")


def test_a_state_folder_among_the_photos_is_refused():
    for state in ("/p/state", "/p", "/p/2024/../state"):
        with pytest.raises(SettingsError, match=r"state_dir .* lies inside the gallery a"):
            make({"state_dir": state, "galleries": {"a": {"path": "/p", "output": "/o"}}}, "here")
    for state in ("/o/state", "/p2", "/p/.local/state"):
        make({"state_dir": state, "galleries": {"a": {"path": "/p", "output": "/o"}}}, "here")


def test_names_that_only_begin_alike_lie_apart():
    galleries(
        a={"path": "/p", "output": "/o"},
        b={"path": "/p2", "output": "/o2"},
        c={"path": "/p-old", "name": "digikam"},
    )


def test_a_folder_is_inside_another_by_what_both_are(tmp_path):
    (tmp_path / "gallery/2024").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "gallery", target_is_directory=True)
    gallery = filesystems.location(tmp_path / "gallery")
    for inside in ("gallery", "gallery/new", "link", "link/2024/out", "none/../gallery/2024"):
        assert filesystems.location(tmp_path / inside).is_inside(gallery), inside
    for outside in ("gallery-mended", "", "gallery/../out"):
        assert not filesystems.location(tmp_path / outside).is_inside(gallery), outside


def test_a_bind_mount_is_what_it_shows(in_namespace):
    assert in_namespace("""
here = Path(os.getcwd())
sh("mount", "-t", "tmpfs", "disk", here)
for name in ("gallery/2024", "bound", "other"): os.makedirs(here / name)
sh("mount", "--bind", here / "gallery/2024", here / "bound")
sh("mount", "-t", "tmpfs", "second", here / "other")
gallery = filesystems.location(here / "gallery")
print(*(filesystems.location(here / name).is_inside(gallery) for name in ("bound", "bound/out", "other", "other/gallery/2024")))
print(*(gallery.is_inside(filesystems.location(here / name)) for name in ("bound", "")))
""") == ["True True False False", "False True"]
