"""What a wheel holds beside photomend's packages, and how it gets there."""
