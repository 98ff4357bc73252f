"""The two steps of a job, classify and restore, and what they share."""
