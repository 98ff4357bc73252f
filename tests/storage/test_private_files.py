"""Only the user that photomend runs as may read its state."""

import os
import stat

import pytest

from daemon.supervising import processes
from daemon.supervising.processes import SupervisedProcess
from storage import database, private_files


@pytest.fixture(autouse=True)
def umask():
    old = os.umask(0)
    yield
    os.umask(old)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_database_is_made_for_its_owner_only(tmp_path):
    file = tmp_path / "state/jobs.db"
    database.migrate(f"sqlite:///{file}")
    engine = database.open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        modes = {path.name: mode(path) for path in file.parent.iterdir()}
    engine.dispose()
    assert mode(file.parent) == 0o700
    assert modes == dict.fromkeys(["jobs.db", "jobs.db-shm", "jobs.db-wal"], 0o600)


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    file = tmp_path / "state/jobs.db"
    database.migrate(f"sqlite:///{file}")
    file.parent.chmod(0o755)
    file.chmod(0o644)
    database.migrate(f"sqlite:///{file}")
    assert (mode(file.parent), mode(file)) == (0o700, 0o600)


def test_a_folder_that_is_not_only_ours_stays_as_it_is(tmp_path):
    shared, sticky = tmp_path / "shared", tmp_path / "sticky"
    shared.mkdir(0o755)
    private_files.make_folder(shared)
    sticky.mkdir()
    sticky.chmod(0o1777)
    (sticky / "jobs.db").touch()
    private_files.make_folder(sticky)
    assert (mode(shared), mode(sticky)) == (0o755, 0o1777)


def test_logs_are_made_for_their_owner_only(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "MAX_LOG_BYTES", 3)
    process = SupervisedProcess(
        "sleep", lambda log: log.write(b"a line"), tmp_path / "logs/sleep.log"
    )
    process.ensure_running()
    process._bound_log()
    modes = {path.name: mode(path) for path in process.log.parent.iterdir()}
    assert modes == {"sleep.log": 0o600, "sleep.old": 0o600}
    assert (process.log.stat().st_size, process.log.with_suffix(".old").read_bytes()) == (
        0,
        b"a line",
    )
    assert mode(process.log.parent) == 0o700
