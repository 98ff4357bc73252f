"""The networks of the lite engine in PyTorch, for training."""
