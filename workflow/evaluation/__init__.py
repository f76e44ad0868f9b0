"""Evaluation of ground truth, trained models (also with other samplers, guidance or fusion weights) and other projects'
motions, and the motions of the galleries.
"""
