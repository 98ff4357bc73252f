"""The commands of `photomend`, one module for each group."""
