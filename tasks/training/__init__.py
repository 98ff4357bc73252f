"""Fit, export and measure the nets of the lite engine."""
