"""Start and stop the processes of `photomend up`, and show how far they are."""
