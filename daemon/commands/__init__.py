"""The commands of `photomend`: services that stay, reports that only read, orders that change."""
