"""Files are written whole or not at all, and a lock has one holder."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.supervising.processes import ProcessFile, SupervisedProcess
from storage import atomic_files, output_folder, publishing
from storage.settings_gallery import GallerySettings
from storage.weights import hashes
from storage.weights.catalogue import File

ROOT = Path(__file__).parents[2]


def in_a_process(code: str, *args: object) -> subprocess.Popen[str]:
    program = f"import sys; from pathlib import Path; from storage import atomic_files\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, args)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(tmp_path, monkeypatch):
    file = tmp_path / "file"
    steps = []
    sync, rename = os.fsync, os.rename

    def note_sync(number):
        steps.append(("sync", Path(f"/proc/self/fd/{number}").readlink()))
        sync(number)

    def note_rename(before, after, **folders):
        steps.append(("rename", before, after, (tmp_path / before).read_bytes()))
        return rename(before, after, **folders)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    atomic_files.write(file, b"new")
    temporary = steps[0][1]
    assert temporary.parent == tmp_path and temporary.name.startswith(".file.")
    assert steps == [
        ("sync", temporary),
        ("rename", temporary.name, file.name, b"new"),
        ("sync", tmp_path),
    ]
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"old")
    process = in_a_process(
        "import os, signal\n"
        "with atomic_files.replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half of it')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
        file,
    )
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    atomic_files.write(file, b"new")
    assert file.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(ValueError, match="half"), atomic_files.replacing(file) as temporary:
        temporary.write_bytes(b"half of it")
        raise ValueError("half")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_filesystem_that_cannot_sync_is_no_failure_and_a_broken_one_is(tmp_path, monkeypatch):
    def fail(_number):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    number = errno.EINVAL
    atomic_files.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        atomic_files.write(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_lock_has_one_holder_until_its_process_ends(tmp_path):
    lock = tmp_path / "lock"
    process = in_a_process(
        "with atomic_files.locked(Path(sys.argv[1])) as file:\n"
        "    file.write(b'mine')\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n",
        lock,
    )
    assert process.stdout.readline() == "held\n"
    with atomic_files.locked(lock, wait=False) as file:
        assert file is None
    assert lock.read_bytes() == b"mine"
    waited = threading.Event()

    def wait() -> None:
        with atomic_files.locked(lock):
            waited.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not waited.wait(0.3)
    process.kill()
    process.communicate()
    thread.join(10)
    assert waited.is_set()
    with atomic_files.locked(lock, wait=False) as file:
        assert file is not None


def _write_marker(folder: Path) -> Path:
    gallery = GallerySettings(folder, output=folder)
    output_folder.prepare("g", gallery, used=False)
    return folder / publishing.MARKER


def _record_hash(folder: Path) -> Path:
    (folder / "net.txt").write_text("weights")
    hashes.check(folder, File("net.txt", (), about_bytes=7))
    return folder / hashes.RECORD


def _write_process_file(folder: Path) -> Path:
    with subprocess.Popen(["sleep", "60"]) as process:
        process_file = ProcessFile(folder / "processes.json")
        sleep = SupervisedProcess("sleep", lambda _: process, folder / "log", process)
        process_file.write([sleep])
        process.kill()
    return process_file.path


@pytest.mark.parametrize("made", [_write_marker, _record_hash, _write_process_file])
def test_what_must_survive_a_power_failure_is_synced(made, tmp_path, synced):
    file = made(tmp_path)
    assert json.loads(file.read_text())
    temporary, folder = synced
    assert Path(temporary).name.startswith(f".{file.name}.")
    assert folder == str(tmp_path)


def test_what_a_killed_up_was_writing_is_removed_by_the_next_one(tmp_path, monkeypatch):
    file, other = tmp_path / "processes.json", tmp_path / ".jobs.json.0.tmp"
    other.touch()
    monkeypatch.setattr(os, "rename", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    if (child := os.fork()) == 0:
        try:
            atomic_files.write(file, b"[]")
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 2
    ProcessFile(file).stop_leftovers(1)
    assert list(tmp_path.iterdir()) == [other]


def test_nothing_else_syncs_or_locks_files():
    users = {
        str(path.relative_to(ROOT))
        for folder in ("daemon", "tasks", "storage")
        for path in (ROOT / folder).rglob("*.py")
        if any(word in path.read_text() for word in ("fsync(", "flock("))
    }
    assert users == {"storage/atomic_files.py"}
