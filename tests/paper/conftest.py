"""What the tests of the paper engine need where torch was built for CPUs only."""

import importlib.util
from pathlib import Path

SITE = Path(__file__).parent / "site"
"""To be put on PYTHONPATH for processes that a test starts."""

_spec = importlib.util.spec_from_file_location("_paper_site", SITE / "sitecustomize.py")
_spec.loader.exec_module(importlib.util.module_from_spec(_spec))
