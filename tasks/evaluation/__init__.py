"""Measure an engine on labelled photos, without database and queue."""
