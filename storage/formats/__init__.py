"""Decode photo files to arrays, and encode arrays as photo files."""
