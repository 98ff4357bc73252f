"""Training examples made from clean photos."""
