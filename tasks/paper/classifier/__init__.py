"""The vision-language classifier of the paper engine."""
