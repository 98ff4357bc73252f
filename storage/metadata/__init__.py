"""EXIF, XMP, ICC and sidecars of photos."""
