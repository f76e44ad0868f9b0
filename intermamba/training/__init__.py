"""Training of denoisers: losses, the Lightning module and its data."""
