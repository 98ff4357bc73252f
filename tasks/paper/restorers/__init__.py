"""The restorers of the paper engine: image to image."""
