"""The reports that commands print or draw."""
