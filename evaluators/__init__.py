"""Evaluators of generated motion: learned evaluators, metrics as pure functions, and the protocol that binds them.

This package evaluates motions from any source; it knows nothing about the models that made them.
"""
