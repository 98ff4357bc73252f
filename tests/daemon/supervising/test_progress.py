"""What `photomend up` prints of finished photos, elsewhere than on a terminal."""

from pathlib import Path

from daemon.supervising.progress import Progress
from storage.database import galleries, search
from storage.enums import Decision


def test_a_photo_that_ends_twice_is_printed_twice_and_counted_once(jobs, capsys):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    with Progress(jobs.engine) as progress:
        for claims, decision in ((1, Decision.UNSURE), (2, Decision.CLEAN)):
            with jobs.engine.begin() as connection:
                connection.exec_driver_sql(
                    f"UPDATE jobs SET status = 'done', decision = '{decision}', claims = {claims},"
                    " finished_at = created_at + 1 WHERE id = 1"
                )
            progress.update()
        progress.print_summary()
    lines = capsys.readouterr().out.splitlines()
    assert sum("a.jpg" in line for line in lines) == 2
    assert [line.strip("│ ") for line in lines if line.startswith("│")] == ["good as it is │ 1"]
    assert search.get(jobs.engine, 2).finished_at is None
