"""Image processing that both engines use, without torch."""
