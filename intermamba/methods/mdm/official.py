"""Checkpoints of MDM as its code writes them: ``model*.pt``, a state dict without CLIP.

Files of versions that average weights hold the averages under ``model_avg`` beside the last weights; the averages are
what it samples with. Nobody released weights for two persons: a file is of the released class with 2 F features,
person 1 first.
"""

from intermamba.checkpoints.layout import Adopted, Reader, Released, Weights, empty, fill, renamed
from intermamba.checkpoints.reading import read_checkpoint, state_dict
from intermamba.errors import DataError
from intermamba.methods.mdm import SIZES, MdmBackboneOptions
from intermamba.models import PAPER

CLIP = "clip_model."
POSITIONS = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
MODULES = (
    ("embed_step.", "embed_timestep.time_embed."),
    ("embed_motion.", "input_process.poseEmbedding."),
    ("transformer.", "seqTransEncoder."),
    ("out.", "output_process.poseFinal."),
)
AVERAGES = "model_avg"


def weights_of(released: Released, title: str) -> Weights:
    """Those of a file, without CLIP and tables of positions."""
    content = read_checkpoint(released.checkpoint)
    weights = Weights(released.checkpoint, title, dict(state_dict(released.checkpoint, content.get(AVERAGES, content))))
    weights.drop(CLIP)
    weights.drop_positions(*POSITIONS)
    return weights


def official_name(name: str) -> str:
    """Official name of a weight."""
    return renamed(name, MODULES)


def sizes_of(weights: Weights, layers: int, feedforward: int) -> dict[str, int]:
    """Sizes that the weights of all of MDM's networks reveal; the number of heads leaves no trace in them."""
    width, text_width = weights.matrix("embed_text.weight")
    return {"width": width, "text_width": text_width, "transformer_blocks": layers, "feedforward": feedforward}


def features_of(weights: Weights, persons: int) -> int:
    """F of one person.

    Raises:
        DataError: no whole number of features a person.
    """
    flat = weights.matrix("output_process.poseFinal.weight")[0]
    if flat % persons:
        raise DataError(f"{weights.path}: makes {flat} features, no pair of persons; expected {weights.title}.")
    return flat // persons


def read(released: Released) -> Adopted:
    """The network of either backbone."""
    options = released.variant.options_as(MdmBackboneOptions)
    gru = options.backbone == "gru"
    weights = weights_of(released, "MDM (GRU)" if gru else "MDM with a transformer encoder")
    if gru:
        weights.shape("gru.weight_ih_l0")
        layers = sum(name.startswith("gru.weight_ih_l") for name in weights.named)
        sizes = sizes_of(weights, layers, int(SIZES["feedforward"]))
    else:
        first = "seqTransEncoder.layers.0.linear1.weight"
        layers, feedforward = weights.depth("seqTransEncoder.layers."), weights.matrix(first)[0]
        sizes = sizes_of(weights, layers, feedforward)
    features = features_of(weights, 2)
    model = empty(released, weights, features=features, max_frames=released.max_frames, **sizes)
    fill(model, (weights, {name: official_name(name) for name in model.state_dict()}))
    del sizes["text_width"]
    return Adopted(model, PAPER.model_copy(update={**SIZES, **sizes}), released.max_frames)


READER = Reader(title="MDM", read=read)
