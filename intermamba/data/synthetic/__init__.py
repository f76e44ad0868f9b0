"""The embedded dataset: choreographed interactions of two people, written in the official raw layouts.

A choreography plans steps, reaches and bends of two performers on a continuous clock; forward kinematics and analytic
two-bone chains turn the plan into poses at any frame rate. The parameters of a kind (limb, count, speed, side, way)
shape the motion and its captions. Modules, bottom up: ``timing`` and ``body`` (curves, kinematics),
``performer`` and ``stage`` (movements of a body, meeting points of two), ``kinds`` (the interactions), ``grammar``,
``paraphrases`` and ``lexicon`` (words), ``choreography`` (one clip), ``plan`` (which clips), ``interhuman`` and
``interx`` (files).
"""

from intermamba.data.synthetic.choreography import Clip, clip
from intermamba.data.synthetic.interhuman import write_interhuman
from intermamba.data.synthetic.interx import write_interx
from intermamba.data.synthetic.kinds import KINDS
from intermamba.data.synthetic.plan import Planned, plan

__all__ = ["KINDS", "Clip", "Planned", "clip", "plan", "write_interhuman", "write_interx"]
