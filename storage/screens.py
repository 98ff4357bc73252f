"""Sizes of screens, which are those of screenshots."""

from storage.formats.detect import Format

_PHONE_SCREENS = {
    (640, 1136), (750, 1334), (828, 1792), (1080, 1920), (1080, 2160), (1080, 2220), (1080, 2280),
    (1080, 2310), (1080, 2316), (1080, 2340), (1080, 2376), (1080, 2388), (1080, 2400),
    (1080, 2408), (1080, 2412), (1080, 2640), (1125, 2436), (1170, 2532), (1179, 2556),
    (1206, 2622), (1242, 2208), (1242, 2688), (1260, 2800), (1284, 2778), (1290, 2796),
    (1320, 2868), (1344, 2992), (1440, 2560), (1440, 2880), (1440, 2960), (1440, 3040),
    (1440, 3088), (1440, 3120), (1440, 3168), (1440, 3200), (1488, 2266), (1536, 2048),
    (1620, 2160), (1640, 2360), (1668, 2224), (1668, 2388), (2048, 2732),
}  # fmt: skip
_DESKTOP_SCREENS = {
    (768, 1366), (800, 1280), (900, 1440), (900, 1600), (1050, 1680), (1200, 1920), (1440, 3440),
    (1600, 2560), (1800, 2880), (1864, 2880), (1964, 3024), (2160, 3840), (2234, 3456),
    (2880, 5120),
}  # fmt: skip
_PHOTOS_TOO = {(1080, 1920), (1440, 2560), (1536, 2048), (1620, 2160)}
"""Screens whose sizes photos have as well."""


def is_screen(width: int, height: int, kind: Format) -> bool:
    """Return whether a picture of this size, in pixels, is likely to be a screenshot.

    JPEGs are, if they have the size of a phone's screen and photos rarely do.
    """
    sides = (min(width, height), max(width, height))
    match kind:
        case Format.PNG:
            return sides in _PHONE_SCREENS | _DESKTOP_SCREENS
        case Format.JPEG:
            return sides in _PHONE_SCREENS - _PHOTOS_TOO
        case _:
            return False
