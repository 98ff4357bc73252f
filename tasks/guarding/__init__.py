"""The figures of the guard: each compares a photo with its restoration, and asks no network."""
