"""Find regions of an image: text, reflections, faces."""
