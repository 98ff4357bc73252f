"""Train a detector of strong reflections for the paper engine."""
