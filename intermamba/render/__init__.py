"""Drawings of two people on a floor, in any matplotlib axes or as a film with their caption.

Works for real clips and for samples of both datasets: it needs joints (:data:`intermamba.skeleton.BODY`) in metres,
y up, and nothing else.
"""
