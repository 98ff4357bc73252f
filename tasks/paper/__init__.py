"""The paper engine: large networks, torch, and weights that the owner fetches."""
