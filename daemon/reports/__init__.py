"""What commands print or draw."""
