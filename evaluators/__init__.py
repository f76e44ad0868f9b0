"""Evaluators of generated motion: learned evaluators, metrics as pure functions, and the protocol that binds them.

This package evaluates motions wherever they come from; it knows nothing of the models that made them.
"""
