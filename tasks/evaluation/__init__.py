"""Measure what an engine does to labelled photos, with no database and no queue."""
