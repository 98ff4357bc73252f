"""Messages to people: digests, what must be mended at once, and the sensors of Home Assistant."""
