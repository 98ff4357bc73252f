"""Plain nets: tensors in, tensors out. Torch is imported from here down only."""
