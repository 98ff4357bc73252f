"""Find new photos in the galleries."""
