"""InterMamba: text-driven generation of two people interacting, with a benchmark that retrains and re-evaluates it.

One legend of axes, for every signature in this repository (jaxtyping strings such as ``"B T P F"``):

====  ==========================================================================================
B     batch
P     person, always 2; 0 is the first person of the pair, 1 the second
T     frame, at 30 frames a second; ``L`` where a function is about a generic sequence
J     joint (22 for SMPL bodies, 55 or 56 for SMPL-X; see :mod:`intermamba.skeleton`)
F     feature of one person (262 for InterHuman, 336 for Inter-X)
D     width of a denoiser
E     channels of a selective scan
N     state size of a selective scan
R     rank of the step-size projection
G     caption that conditions one clip: of the pair (1), or of the pair and of each person (3, in2IN)
S     token of a caption
W     width of the text tower (768 for CLIP ViT-L/14)
K     width of an evaluator's embedding
====  ==========================================================================================

Units: metres, radians, frames; y is up once a dataset is preprocessed. A ``mask`` is boolean and true on real frames.
Data flows one way: ``intermamba <- evaluators <- ablations <- workflow``; a package knows only those to its left.
"""

__version__ = "0.1.0"
