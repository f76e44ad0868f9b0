"""Evaluation of ground truth, trained models, other projects' motions, solvers and numbers of steps."""
