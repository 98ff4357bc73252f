"""The page: what photomend does, before and after side by side, and what the owner says of it."""
