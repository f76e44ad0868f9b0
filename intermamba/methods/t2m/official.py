"""Checkpoints of T2M as Inter-X's code writes them: ``latest.tar`` of the generator, and of the length estimator.

On Inter-X a frame holds the six numbers of a joint of person 1, then those of person 2, joint by joint; here it holds
all joints of person 1 first. The layers that read or write features are permuted accordingly.
"""

import re

import torch
from jaxtyping import Int
from torch import Tensor, nn

from intermamba.checkpoints.layout import Adopted, Reader, Released, Weights, empty, fill, renamed, sized
from intermamba.datasets import family
from intermamba.errors import DataError
from intermamba.methods.t2m.network import T2M, classes
from intermamba.methods.t2m.options import UNIT, T2MSizes

NETWORKS = {
    "words": "text_enc",
    "attention": "att_layer",
    "prior": "seq_pri",
    "posterior": "seq_post",
    "decoder": "seq_dec",
    "movement_encoder": "mov_enc",
    "movement_decoder": "mov_dec",
}
_RECURRENT = (
    ("embed.", "emb."),
    ("cells.", "gru."),
    ("start.", "z2init."),
    ("mean.", "mu_net."),
    ("log_variance.", "logvar_net."),
    ("out.", "output."),
)
_IN_NETWORK = {
    "words": (("embed_tag.", "pos_emb."), ("embed.", "input_emb."), ("start", "hidden"), ("ahead.", "gru.")),
    "attention": (("query.", "W_q."), ("key.", "W_k."), ("value.", "W_v.")),
    **dict.fromkeys(("prior", "posterior", "decoder"), _RECURRENT),
    "movement_encoder": (("out.", "out_net."),),
    "movement_decoder": (("main.0.0.", "main.0."), ("main.1.0.", "main.2."), ("out.", "out_net.")),
}
NUMBERS = 6
"""Numbers per joint on Inter-X."""


def read(released: Released) -> Adopted:
    """The generator and the length estimator as one network."""
    assert released.beside is not None
    made = Weights.of(released.checkpoint, "T2M's generator", {f"{name}.": name for name in NETWORKS.values()})
    made.drop_positions(*(f"{NETWORKS[name]}.positional_encoder.pe" for name in ("prior", "posterior", "decoder")))
    lengths = Weights.of(released.beside, "T2M's length estimator", {"estimator.": "estimator"})
    sizes, features, text_width, count = _sizes(made, lengths)
    # Several values of max_frames have the same number of movements.
    max_frames = released.max_frames if classes(released.max_frames) == count else UNIT * count - 1
    shape = {"features": features, "max_frames": max_frames, "text_width": text_width}
    model = empty(released, made, **shape, **sizes.model_dump())
    assert isinstance(model, T2M)
    names = {name: _name(name) for name in model.state_dict()}
    in_estimator = {here: there for here, there in names.items() if here.startswith("estimator.")}
    fill(model, (made, {here: names[here] for here in names if here not in in_estimator}), (lengths, in_estimator))
    if family(released.dataset) == "interx":
        _reorder(model, features)
    return Adopted(model, sizes, max_frames)


def _sizes(made: Weights, lengths: Weights) -> tuple[T2MSizes, int, int, int]:
    """Sizes, features of one person (F), width of the word features (W), and number of lengths."""
    hidden = made.matrix("seq_pri.mu_net.weight")[1]
    text, words = made.matrix("text_enc.input_emb.weight")
    flat = made.matrix("mov_dec.out_net.weight")[0]
    if flat % 2:
        raise DataError(f"{made.path}: makes {flat} features, no pair of persons; expected {made.title}.")
    sizes = sized(
        T2MSizes,
        made,
        movement=made.matrix("mov_enc.out_net.weight")[0],
        text=text,
        hidden=hidden,
        attended=made.matrix("att_layer.W_q.weight")[0],
        latent=made.matrix("seq_pri.mu_net.weight")[0],
        length=lengths.matrix("estimator.output.0.weight")[0],
        layers=made.depth("seq_pri.gru."),
    )
    tags = made.matrix("text_enc.pos_emb.weight")[1]
    return sizes, flat // 2, words + tags, lengths.matrix("estimator.output.9.weight")[0]


def _name(name: str) -> str:
    """Official name of a weight of this implementation."""
    if name.startswith("estimator."):
        inner = name.removeprefix("estimator.")
        return "estimator." + (
            _words(inner.removeprefix("encoder.")) if inner.startswith("encoder.") else inner.replace("out.", "output.")
        )
    _, network, inner = name.split(".", 2)
    if network == "words":
        return f"{NETWORKS[network]}.{_words(inner)}"
    return f"{NETWORKS[network]}.{renamed(inner, _IN_NETWORK[network])}"


def _words(name: str) -> str:
    """Official name in a word encoder, where both directions are one module."""
    if name.startswith("back."):
        return re.sub(r"^back\.", "gru.", name) + "_reverse"
    return renamed(name, _IN_NETWORK["words"])


def _reorder(model: T2M, features: int) -> None:
    """Permute the features of Inter-X into this project's order, in place."""
    order = interleaved(features)
    generator = model.generator
    inputs = generator.movement_encoder.main[0]
    assert isinstance(inputs, nn.Conv1d)
    outputs = generator.movement_decoder.out
    with torch.no_grad():
        for value, axis in ((inputs.weight, 1), (outputs.weight, 0), (outputs.bias, 0)):
            value.copy_(value.index_select(axis, order))


def interleaved(features: int) -> Int[Tensor, " C"]:
    """Official column of each of this project's 2 F columns on Inter-X."""
    return torch.arange(2 * features).reshape(-1, 2, NUMBERS).transpose(0, 1).flatten()


READER = Reader(title="T2M", read=read, beside="the length estimator")
