"""compose.yaml fits the image, and the clients that read such files understand it."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import chroots
from tests.chroots import PATH, Chroot
from tests.test_container import FOLDER, instructions


def test_the_composition_mounts_what_the_image_declares():
    composed = (FOLDER / "compose.yaml").read_text()
    volumes = re.search(r"VOLUME \[(.*)\]", "\n".join(instructions()))
    assert volumes is not None
    for folder in re.findall(r'"(.*?)"', volumes[1]):
        assert re.search(rf"^ +- \S+:{folder}(:ro)? ", composed, re.MULTILINE)
    assert re.search(r":/photos:ro ", composed)
    for name in (
        "PUID",
        "PGID",
        "UMASK",
        "TZ",
        "read_only: true",
        "stop_grace_period",
        "init: true",
    ):
        assert name in composed


def compositions() -> dict[str, str]:
    """Return the file as it is, and with the lines that are comments, for the page and for a GPU."""
    text = (FOLDER / "compose.yaml").read_text()
    return {
        "as it is": text,
        "all": re.sub(r"^( +)# (?=[\w ]+:)", r"\1", text, flags=re.MULTILINE),
    }


def is_understood(client: Sequence[str | Path], lines: str) -> None:
    ran = subprocess.run([*client, "config"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "read_only: true" in ran.stdout
    assert ("8484" in ran.stdout and "nvidia" in ran.stdout) == (lines == "all")


@pytest.mark.parametrize("lines", compositions())
def test_a_client_understands_the_composition(tmp_path, lines):
    clients = (["docker", "compose"], ["docker-compose"], ["podman-compose"])
    client = next((each for each in clients if _answers(each)), None)
    if client is None:
        pytest.skip("there is no docker compose, docker-compose or podman-compose")
    file = tmp_path / "compose.yaml"
    file.write_text(compositions()[lines])
    is_understood([*client, "-f", file], lines)


def _answers(command: list[str]) -> bool:
    try:
        return (
            subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


@chroots.needed
def test_docker_compose_2_understands_the_composition(tmp_path):
    system = tmp_path / "system"
    chroots.make(system, "docker-compose,ca-certificates", "trixie")
    chroot = Chroot(system, {}, network=False, writable=True)
    try:
        client = chroot.command(["docker-compose", "version", "--short"], {"PATH": PATH})
        shown = subprocess.run(client, capture_output=True, text=True, check=False)
        assert shown.stdout.startswith("2."), shown.stderr
        for lines, text in compositions().items():
            (system / "srv/compose.yaml").write_text(text)
            client = chroot.command(["docker-compose", "-f", "/srv/compose.yaml"], {"PATH": PATH})
            is_understood(client, lines)
    finally:
        chroot.stop()
        shutil.rmtree(system)
