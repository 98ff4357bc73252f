"""What the commands share: output, exit codes, how jobs are named on the command line."""
