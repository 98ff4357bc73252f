"""Change one place of a module at a time, and count the changes that its tests notice.

    make mutants MODULE=tasks/paper/reflection.py SAMPLE=100 SEED=0

mutmut makes the changes (mutants) and runs the tests. Functions with a decorator are not changed.
Everything is written to out/mutants.
"""

import argparse
import fnmatch
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out/mutants"
SETTINGS = "tests/tasks/steps/test_step_settings.py"
TESTS = {
    "tasks/engines.py": ["tests/tasks/test_engines*.py"],
    "tasks/mend.py": ["tests/tasks/test_mend*.py"],
    "tasks/guard.py": ["tests/tasks/test_guard_rules.py"],
    "tasks/steps/classify.py": ["tests/tasks/steps/test_classify.py", SETTINGS],
    "tasks/steps/failures.py": ["tests/tasks/steps/test_fail*.py"],
    "tasks/steps/paths.py": ["tests/tasks/steps/test_paths.py"],
    "tasks/steps/restore.py": [
        "tests/tasks/steps/test_reuse_rules.py",
        "tests/tasks/steps/test_restore.py",
        SETTINGS,
    ],
    "tasks/steps/reuse.py": ["tests/tasks/steps/test_reuse*.py", SETTINGS],
    "tasks/steps/run_step.py": [
        "tests/tasks/steps/test_failed_steps.py",
        "tests/tasks/steps/test_device.py",
    ],
    "tasks/paper/engine.py": ["tests/paper/test_wiring.py", "tests/paper/test_gpu.py"],
    "tasks/paper/motion_blur.py": ["tests/paper/test_wiring.py"],
    "tasks/paper/reflection.py": ["tests/paper/test_wiring.py"],
    "tasks/paper/super_resolution.py": [
        "tests/paper/test_wiring.py",
        "tests/paper/test_enlargement_rules.py",
    ],
    "tasks/paper/classifier/qwen.py": ["tests/paper/test_qwen*.py"],
    "tasks/paper/classifier/*": ["tests/tasks/paper_classifier"],
    "tasks/paper/detectors/faces.py": ["tests/paper/test_faces.py"],
    "tasks/paper/detectors/paddle_text.py": ["tests/paper/test_paddle_text.py"],
    "tasks/paper/detectors/*": ["tests/paper/test_reflections.py", "tests/paper/test_yo*.py"],
    "tasks/paper/nets/*": ["tests/paper/test_[niry]*.py"],
    "tasks/paper/*": ["tests/paper"],
}
"""Modules and the files or folders of the tests that concern them; the first pattern that fits counts."""
LEFT_OUT = [r"\blog\.\w+\(", r"^\s*[\"'].*[\"'],?$"]
"""Lines that are not changed: log messages, and lines that are only a string."""
CONFIG = """
[tool.mutmut]
source_paths = ["tasks", "storage", "daemon"]
also_copy = ["alembic"]
only_mutate = [{module}]
do_not_mutate_patterns = {left_out}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-m", "not slow and not gpu", "-p", "no:cacheprovider"]
process_isolation = "forkserver"
timeout_multiplier = 5.0
timeout_constant = 10.0
"""
STATUS = {0: "survived", 1: "killed", 3: "killed", 5: "no test", 33: "no test"}


def tests_of(module: str) -> list[str]:
    """Return the tests of a module, relative to the root."""
    patterns = next(
        tests for pattern, tests in TESTS.items() if fnmatch.fnmatchcase(module, pattern)
    )
    return [str(path.relative_to(ROOT)) for each in patterns for path in sorted(ROOT.glob(each))]


def prepare(module: str) -> Path:
    """Write a copy of the project with the configuration of mutmut, and return its folder."""
    folder = OUT / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("tasks", "storage", "daemon", "tests", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    config = CONFIG.format(
        module=json.dumps(module), left_out=json.dumps(LEFT_OUT), tests=tests_of(module)
    )
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + config)
    if (shared := ROOT / "../shared").is_dir():  # the tests look for it beside the project
        (folder / "shared").symlink_to(shared.resolve())
    return folder


def sample(folder: Path, module: str, size: int, seed: int) -> list[str]:
    """Return the names of some mutants of a module; none if it has no more than `size`."""
    listing = (
        "import sys; from mutmut.mutation.file_mutation import mutate_file_contents as mutate;"
        "name = sys.argv[1]; print(*mutate(name, open(name).read()).mutant_names, sep='\\n')"
    )
    found = run(folder, "-c", listing, module, stdout=subprocess.PIPE).stdout.split()
    prefix = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    names = [f"{prefix}.{name}" for name in found]
    print(f"{module}: {len(names)} mutants")
    return random.Random(seed).sample(names, size) if 0 < size < len(names) else []


def run(folder: Path, *arguments: str, **wishes: object) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PHOTOMEND_CONFIG": "/dev/null"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, text=True, check=True, **wishes)


def measure(module: str, size: int, seed: int, children: int) -> float:
    """Run the tests over the mutants, print the survivors, and return the killed share."""
    folder = prepare(module)
    names = sample(folder, module, size, seed)
    mutmut = Path(sys.executable).with_name("mutmut")
    with (folder / "log").open("w") as log:
        run(
            folder, str(mutmut), "run", "--max-children", str(children), *names,
            stdout=log, stderr=log,
        )  # fmt: skip
    codes = json.loads((folder / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
    results = {
        name: STATUS.get(code, "timeout") for name, code in codes.items() if code is not None
    }
    for name, status in results.items():
        if status != "killed":
            print(f"\n{status}: ", end="", flush=True)
            run(folder, str(mutmut), "show", name)
    counts = Counter(results.values())
    killed = (counts["killed"] + counts["timeout"]) / max(1, sum(counts.values()))
    print(f"\n{module}: {killed:.1%} of {sum(counts.values())} killed; {dict(counts)}")
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="+", help="files, relative to the root")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each file; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--children", type=int, default=2, help="processes at once")
    chosen = parser.parse_args()
    for module in chosen.module:
        measure(module, chosen.sample, chosen.seed, chosen.children)


if __name__ == "__main__":
    main()
