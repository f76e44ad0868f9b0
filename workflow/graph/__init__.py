"""The graph: the stage table, its compilation to DVC, the lock of a working tree, and the check of its records."""
