"""Colour profiles (ICC.1:2022): whether one is complete."""

_HEADER_BYTES = 128


def is_whole(profile: bytes) -> bool:
    """Return whether a profile has as many bytes as it says, or is missing altogether."""
    if not profile:
        return True
    stated = int.from_bytes(profile[:4], "big")
    return profile[36:40] == b"acsp" and _HEADER_BYTES <= stated <= len(profile)
