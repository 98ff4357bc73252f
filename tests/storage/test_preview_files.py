import os

from storage import preview_files


def test_the_oldest_previews_go_first_when_they_take_too_much_room(tmp_path):
    for job_id in (1, 999, 1000, 2500):
        preview_files.write(tmp_path, job_id, "before", bytes(100))
        file = preview_files.of(tmp_path, job_id).before
        os.utime(file, (job_id, job_id))
    preview_files.sweep(tmp_path, 400)
    assert preview_files.of(tmp_path, 1).before is not None
    preview_files.sweep(tmp_path, 300)
    left = [job_id for job_id in (1, 999, 1000, 2500) if preview_files.of(tmp_path, job_id).before]
    assert left == [1000, 2500]  # 270 bytes may stay
    preview_files.sweep(tmp_path, 0)
    assert preview_files.of(tmp_path, 2500).before is None


def test_a_job_shares_the_previews_of_an_earlier_one(tmp_path):
    preview_files.write(tmp_path, 1, "after", b"picture")
    preview_files.write_box(tmp_path, 1, (0.25, 0.5, 0.125, 0.25))
    preview_files.share(tmp_path, 1, 2000)
    preview_files.share(tmp_path, 1, 2000)
    found = preview_files.of(tmp_path, 2000)
    assert found.after.read_bytes() == b"picture"
    assert found.box == (0.25, 0.5, 0.125, 0.25)
    assert found.before is None


def test_the_version_is_the_time_of_the_newest_preview(tmp_path):
    assert preview_files.of(tmp_path, 1).version == 0
    for name, second in (("before", 5), ("small", 7), ("after", 6)):
        preview_files.write(tmp_path, 1, name, b"picture")
        file = getattr(preview_files.of(tmp_path, 1), name)
        os.utime(file, (second, second))
    assert preview_files.of(tmp_path, 1).version == 7000
