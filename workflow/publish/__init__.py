"""Publication of finished results in README and docs."""
