"""Run one of photomend's modules: `python -m photomend.module daemon.cli status`."""

import runpy
import sys

from photomend import use_own_packages

use_own_packages()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
