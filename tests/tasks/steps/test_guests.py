"""A guest, who may write into gallery and output, gains nothing of the owner's by links and pipes.

The guest is another user: each attack is a shell of user 4001. This process is the owner's worker.
"""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from storage import file_attributes, filesystems, output_folder, photos, publishing
from storage.database import galleries, search
from storage.database.jobs import Jobs
from storage.enums import Category, Decision, ErrorKind, Status
from storage.errors import GalleryOffline, OutputTaken, UnreadablePhoto
from storage.publishing import MARKER
from storage.uncarried.words import FILM
from tasks.steps import paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.steps.run_step import run_step
from tasks.worker import runtime
from tests.recorded import seen

GUEST = 4001
KEYS = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!-- keys --></x:xmpmeta>"
pytestmark = [
    pytest.mark.usefixtures("worker", "lenient"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users"),
]


@pytest.fixture
def guest(home):
    """Run a shell as the guest, who may write into gallery and output, but not enter `private`."""
    for folder in (home, *home.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    (home / "output").mkdir()
    (home / "private").mkdir(mode=0o700)
    (home / "private/keys").write_bytes(KEYS)
    (home / "private/keys").chmod(0o600)

    def act(script):
        for name in ("gallery", "output"):
            for folder in (home / name, *(p for p in (home / name).iterdir() if p.is_dir())):
                folder.chmod(0o777)
        return subprocess.run(
            ["/bin/sh", "-ec", script], cwd=home, user=GUEST, group=GUEST, extra_groups=[],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    with pytest.raises(subprocess.CalledProcessError):
        act("cat private/keys")
    yield act
    assert (home / "private/keys").read_bytes() == KEYS
    files = [p for p in (home / "output").rglob("*") if p.is_file() and not p.is_symlink()]
    assert KEYS not in [path.read_bytes() for path in files]


@pytest.fixture
def during(use, smoothing):
    """Let something happen while the chain runs."""

    def arrange(act):
        class Disturbed(smoothing):
            def __call__(self, *given):
                act()
                return super().__call__(*given)

        use(Disturbed())

    return arrange


@pytest.fixture
def in_folder(home, jobs, use, smoothing, claimed):
    """A photo in a folder, which is claimed for its restoration."""
    use(smoothing())
    job = claimed(Category.SUPER_RESOLUTION)
    (home / "gallery/2024").mkdir()
    (home / "gallery/cat.jpg").rename(home / "gallery/2024/cat.jpg")
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET folder = ?, fingerprint = ?", (b"2024", seen("2024/cat.jpg"))
        )
    return search.get(jobs.engine, job.id)


def results(home):
    """Return the names of all that is in the output, but the marker."""
    names = {str(p.relative_to(home / "output")) for p in (home / "output").rglob("*")}
    return sorted(names - {MARKER})


def test_a_sidecar_that_is_a_link_is_not_copied(home, guest, noisy, use, smoothing):
    use(smoothing())
    guest("ln -s ../private/keys gallery/cat.jpg.xmp; ln -s ../private/keys gallery/cat.xmp")
    restore(noisy)
    assert results(home) == ["cat.jpg"]


def test_names_of_temporary_files_cannot_be_guessed(home, guest, noisy, during):
    (home / "gallery/cat.jpg.xmp").write_bytes(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    marks = [hashlib.sha256(name).hexdigest()[:12] for name in (b"cat.jpg", b"cat.jpg.xmp")]
    names = [
        f".photomend-{marks[0]}-{noisy.id}-{noisy.claims}.tmp",
        f".photomend-{marks[1]}-0-0.tmp",
    ]
    during(
        lambda: guest(f"cd output; for n in {' '.join(names)}; do ln -s ../private/keys $n; done")
    )
    restore(noisy)
    assert results(home) == sorted([*names, "cat.jpg", "cat.jpg.xmp"])


@pytest.mark.parametrize("when", ["made", "written", "dressed"])
def test_a_temporary_file_that_is_swapped_for_a_link_changes_nothing_behind_it(
    home, guest, noisy, use, smoothing, monkeypatch, when
):
    (home / "gallery/cat.jpg").chmod(0o666)
    use(smoothing())
    module, name = {
        "made": (photos, "write"), "written": (file_attributes, "keep"), "dressed": (Jobs, "record"),
    }[when]  # fmt: skip
    original = getattr(module, name)

    def swapped(*given, **values):
        guest("cd output; for n in .photomend-*.tmp; do rm -f $n; ln -s ../private/keys $n; done")
        return original(*given, **values)

    monkeypatch.setattr(module, name, swapped)
    restore(noisy)
    assert stat.S_IMODE((home / "private/keys").stat().st_mode) == 0o600


def test_only_the_owner_reads_a_result_before_it_has_its_name_and_mode(
    home, guest, noisy, use, smoothing, monkeypatch
):
    (home / "gallery/cat.jpg").chmod(0o640)
    (home / "gallery/cat.jpg.xmp").write_bytes(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    (home / "gallery/cat.jpg.xmp").chmod(0o604)
    use(smoothing())
    keep, seen_modes = file_attributes.keep, []

    def looked_at(source, copy):
        seen_modes.append(stat.S_IMODE(os.fstat(copy.fileno()).st_mode))
        with pytest.raises(subprocess.CalledProcessError):
            guest("cat output/.photomend-*.tmp")
        keep(source, copy)

    monkeypatch.setattr(file_attributes, "keep", looked_at)
    restore(noisy)
    assert seen_modes == [0o600, 0o600]
    modes = [stat.S_IMODE((home / "output" / n).stat().st_mode) for n in ("cat.jpg", "cat.jpg.xmp")]
    assert modes == [0o640, 0o604]


def test_a_photo_that_is_swapped_for_a_link_is_not_read(home, guest, noisy):
    shutil.copy2(home / "gallery/cat.jpg", home / "private/cat.jpg")
    guest("cd gallery; rm -f cat.jpg; ln -s ../private/cat.jpg cat.jpg")
    with pytest.raises(UnreadablePhoto, match="symbolic link is not followed"):
        restore(noisy)
    assert results(home) == []


def test_a_photo_whose_folder_is_swapped_for_a_link_is_gone(home, guest, jobs, in_folder):
    galleries.note(
        jobs.engine, "g", host="here", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True,
        identity=filesystems.identity(str(home / "gallery")),
    )  # fmt: skip
    shutil.copytree(home / "gallery/2024", home / "private/2024")
    guest("cd gallery; mv 2024 away; ln -s ../private/2024 2024")
    with pytest.raises(OSError, match="symbolic link"):
        restore(in_folder)
    jobs.release_lost(0)
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.error) == (Status.CANCELLED, "its source is gone")
    assert results(home) in ([], ["2024"])


def test_a_folder_that_is_swapped_while_its_photo_is_mended_gives_nothing(
    home, guest, in_folder, during
):
    shutil.copytree(home / "gallery/2024", home / "private/2024")
    (home / "private/2024/cat.jpg.xmp").write_bytes(KEYS)
    during(lambda: guest("cd gallery; mv 2024 away; ln -s ../private/2024 2024"))
    with pytest.raises(OSError, match="symbolic link"):
        restore(in_folder)
    assert results(home) == ["2024"]


def test_a_photo_that_changed_since_it_was_found_waits_for_its_new_version(
    home, guest, jobs, take_photo
):
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    guest("cd gallery; head -c 1000 cat.jpg > new; mv -f new cat.jpg")
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.error_kind) == (Status.QUEUED, ErrorKind.ARRIVING)
    assert job.attempts == 0 and "has changed since it was found" in job.error
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    assert search.get(jobs.engine, 1).status is Status.CANCELLED


@pytest.mark.parametrize(
    "make", ["mkfifo cat.jpg", "ln -s ../private/keys cat.jpg", "mkdir cat.jpg"]
)
@pytest.mark.parametrize("when", ["before", "during"])
def test_what_lies_at_a_results_name_is_neither_waited_for_nor_replaced(
    home, guest, jobs, noisy, during, make, when
):
    if when == "before":
        guest(f"cd output; {make}")
    else:
        during(lambda: guest(f"cd output; {make}"))
    jobs.release_lost(0)
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.decision, job.output) == (Status.DONE, Decision.LEFT_ALONE, None)
    assert results(home) == ["cat.jpg"] and not stat.S_ISREG(
        (home / "output/cat.jpg").lstat().st_mode
    )


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_folder_of_the_output_that_is_swapped_for_a_link_gets_no_result(
    home, guest, jobs, in_folder, during, when
):
    (home / "output/2024").mkdir()
    if when == "before":
        guest("cd output; rmdir 2024; ln -s ../private 2024")
        with pytest.raises(OutputTaken, match="symbolic link has the name of the folder 2024"):
            restore(in_folder)
    else:
        during(lambda: guest("cd output; mv 2024 away; ln -s ../private 2024"))
        with pytest.raises(OSError, match="symbolic link is not followed"):
            restore(in_folder)
    assert os.listdir(home / "private") == ["keys"]  # noqa: PTH208


@pytest.mark.parametrize("make", [f"mkfifo {MARKER}", f"ln -s ../private/marker {MARKER}"])
def test_a_marker_that_is_no_file_stops_the_gallery_and_is_not_followed(
    home, guest, jobs, noisy, make
):
    (home / "private/marker").write_text('{"gallery": "g"}')
    guest(f"cd output; rm -f {MARKER}; {make}")
    with pytest.raises(GalleryOffline, match="is not a file"):
        paths.reserve(jobs, noisy)
    assert (home / "private/marker").read_text() == '{"gallery": "g"}'


def test_a_marker_that_nests_without_end_cannot_be_understood(home, guest):
    guest(f"head -c 60000 /dev/zero | tr '\\0' '[' > output/{MARKER}")
    assert output_folder.marked_for(home / "output") == ""


def test_the_film_of_a_live_photo_is_not_looked_for_behind_a_link(home, guest, jobs, take_photo):
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    guest("ln -s ../private/nothing gallery/cat.MOV")
    classify(runtime.claim())
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason) == (Decision.LEFT_ALONE, FILM)


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_comes_to_a_results_name_at_the_last_moment_stays(
    home, jobs, noisy, use, smoothing, monkeypatch, known
):
    use(smoothing())
    output = home / "output/cat.jpg"
    if known:
        paths.reserve(jobs, noisy)
        output.write_bytes(b"an older result")
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE jobs SET output = ?, sha256 = ?", (b"cat.jpg", publishing.sha256(output))
            )
    record = Jobs.record

    def edited(*given):
        record(*given)
        output.write_bytes(b"the owner's")

    monkeypatch.setattr(Jobs, "record", edited)
    jobs.release_lost(0)
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert output.read_bytes() == b"the owner's" and results(home) == ["cat.jpg"]
    assert (job.decision, job.output, job.sha256) == (Decision.LEFT_ALONE, None, None)
    assert "made or changed by its owner" in job.reason


def test_a_row_that_names_a_file_elsewhere_reads_and_removes_nothing(home, jobs, noisy):
    victim = home / "victim.jpg"
    shutil.copy2(home / "gallery/cat.jpg", victim)
    for column, value in (("folder", b".."), ("folder", os.fsencode(home))):
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE jobs SET {column} = ?, name = ?, status = 'queued', due_at = 0",
                (value, b"victim.jpg"),
            )
        run_step(1)
        job = search.get(jobs.engine, 1)
        assert job.status is Status.FAILED and "does not name a file below" in job.error
    assert victim.exists() and not (home / "output").exists()
