"""EXIF, XMP, ICC and sidecars of photos.

This code is our own: no permissive library rewrites the metadata of HEIC and AVIF without coding the
image again.
"""
