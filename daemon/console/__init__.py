"""Parts that the commands share: output, exit codes, and how arguments name jobs and photos."""
