"""From which severities the lite engine mends; without numpy, since the reports read them, too."""

from storage.enums import Degradation

MIN_SEVERITY = {
    Degradation.NOISE: 0.983,
    Degradation.COMPRESSION: 0.95,
    Degradation.SOFTNESS: 0.987,
    Degradation.MOTION: 0.972,
    Degradation.REFLECTION: 0.96,
}
"""Smallest severity that is mended."""
MIN_SEVERITY_BESIDE = {Degradation.NOISE: 0.8, Degradation.COMPRESSION: 0.5}
"""Smaller limits for degradations of a photo that is mended anyway (`docs/experiments.md`)."""
