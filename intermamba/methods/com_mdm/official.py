"""Checkpoints of ComMDM as its code writes them: ``model*.pt``, the prior and the block in one state dict.

Its released weights are for HumanML3D's 263 features and read a token of the relative first pose. Features with global
positions have no use for it, so only what was trained without it (``--no_6dof``) can be read.
"""

from intermamba.checkpoints.layout import Adopted, Reader, Released, empty, fill
from intermamba.errors import DataError
from intermamba.methods.com_mdm.network import BLOCK_LAYERS
from intermamba.methods.mdm import SIZES
from intermamba.methods.mdm.official import features_of, official_name, sizes_of, weights_of
from intermamba.models import PAPER

FIRST, LAST, BLOCK = "seqTransEncoder_start.layers.", "seqTransEncoder_end.layers.", "multi_person.model.layers."


def read(released: Released) -> Adopted:
    """The network whose block comes after the prior's last layer.

    Raises:
        DataError: the block comes before it, or there is a token of the relative first pose.
    """
    weights = weights_of(released, "ComMDM")
    if any(name.startswith("multi_person.canon_") for name in weights.named):
        raise DataError(
            f"{weights.path}: reads a token of the relative first pose, which features with global positions do not "
            "have; expected ComMDM trained with --no_6dof."
        )
    if weights.depth(LAST):
        raise DataError(f"{weights.path}: its block comes before the last layers; expected one after the last.")
    if (found := weights.depth(BLOCK)) != BLOCK_LAYERS:
        raise DataError(f"{weights.path}: its block has {found} layers; expected {BLOCK_LAYERS}.")
    sizes = sizes_of(weights, weights.depth(FIRST), weights.matrix(f"{FIRST}0.linear1.weight")[0])
    features = features_of(weights, 1)
    model = empty(released, weights, features=features, max_frames=released.max_frames, **sizes)
    fill(model, (weights, {name: _name(name) for name in model.state_dict()}))
    del sizes["text_width"]
    return Adopted(model, PAPER.model_copy(update={**SIZES, **sizes}), released.max_frames)


def _name(name: str) -> str:
    if name.startswith("prior."):
        return official_name(name.removeprefix("prior.")).replace("seqTransEncoder.", "seqTransEncoder_start.")
    return name.replace("join.", "multi_person.aggregation.").replace("block.", "multi_person.model.")


READER = Reader(title="ComMDM", read=read)
