"""The watcher notices that a gallery's folder is another one, or one that is recorded already."""

import socket
from pathlib import Path

from storage import availability
from storage.database import galleries, search


def names(jobs):
    return {str(job.source) for job in search.jobs(jobs.engine, search.Filter(gallery="g"))}


def is_offline(jobs, why):
    row = galleries.get(jobs.engine, "g")
    return row is not None and not row.online and why in row.reason


def test_a_symbolic_link_that_is_turned_to_a_copy_on_a_new_disk_is_followed(
    home, jobs, watching, eventually
):
    for disk in ("old", "new"):
        (home / disk).mkdir()
        for name in ("a.jpg", "b.jpg"):
            (home / disk / name).write_bytes(b"photo")
    link = home / "link"
    link.symlink_to(home / "old", target_is_directory=True)
    watching(path=str(link), IO_TIMEOUT_SECONDS=4)
    eventually(lambda: names(jobs) == {"a.jpg", "b.jpg"})
    link.unlink()
    link.symlink_to(home / "new", target_is_directory=True)
    (home / "new/c.jpg").write_bytes(b"photo")
    eventually(lambda: "c.jpg" in names(jobs))
    assert galleries.get(jobs.engine, "g").real_root == home / "new"


def test_a_folder_that_up_recorded_under_its_path_waits_to_be_accepted(
    home, jobs, watching, eventually
):
    (home / "gallery/a.jpg").write_bytes(b"photo")
    galleries.note(
        jobs.engine, str(home / "gallery"), host=socket.gethostname(), root=home / "gallery",
        output=home / "output", filesystem="ext4", watching="events", online=True,
        **availability.recognisable(str(home / "gallery")),
    )  # fmt: skip
    watching()
    eventually(lambda: is_offline(jobs, "`photomend accept g`"))
    assert names(jobs) == set()


def test_a_gallery_in_another_by_a_symbolic_link_is_offline(home, jobs, watching, eventually):
    (home / "outer/2024").mkdir(parents=True)
    (home / "outer/2024/a.jpg").write_bytes(b"photo")
    (home / "link").symlink_to(home / "outer/2024", target_is_directory=True)
    galleries.note(
        jobs.engine, "outer", host=socket.gethostname(), root=home / "outer",
        output=home / "other-output", filesystem="ext4", watching="events", online=True,
        **availability.recognisable(str(home / "outer")),
    )  # fmt: skip
    watching(path=str(home / "link"))
    eventually(lambda: is_offline(jobs, "lie in each other"))
    assert names(jobs) == set()
    galleries.note(jobs.engine, "outer", real_root=Path("/elsewhere"))
    eventually(lambda: names(jobs) == {"a.jpg"})
