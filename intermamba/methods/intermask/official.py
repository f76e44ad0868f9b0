"""Checkpoints of InterMask as its code writes them: one ``.tar`` of the transformer, one of the VQ-VAE."""

import re

from intermamba.checkpoints.layout import Adopted, Reader, Released, Weights, empty, fill, renamed, sized
from intermamba.config import Dataset
from intermamba.datasets import family
from intermamba.methods.intermask.options import InterMaskSizes, TokenizerSizes, TransformerSizes
from intermamba.methods.intermask.tokenizer import GRIDS
from intermamba.representation import representation

CLIP = "clip_"
"""How names of the frozen CLIP begin; its own text encoder is ``clipTrans`` and ``clipln``."""
FREQUENCIES = "position_enc.positional_encoding.inv_freq"
CODEBOOK = "quantizer.layers.0.codebook"
_MODULES = (
    ("embedding.", "token_emb."),
    ("embed_text.", "cond_emb."),
    ("embed.", "input_process.poseEmbedding."),
    ("text.layers.", "clipTrans."),
    ("text.norm.", "clipln."),
    ("head.", "output_process.dense."),
    ("modulate_head.linear.", "output_process.adaLN_mod.model.1."),
    ("out.", "output_process.poseFinal."),
    ("blocks.", "Transformer.blocks."),
)
_IN_BLOCKS = (
    (".modulate_pair.linear.", ".adaLN_mod_combined.model.1."),
    (".modulate_person.linear.", ".adaLN_mod_split.model.1."),
    (".pair_attention.", ".self_attn."),
    (".pair_feedforward.up.", ".ffn_combined.model.0."),
    (".pair_feedforward.down.", ".ffn_combined.model.3."),
    (".feedforward.up.", ".ffn_split.model.0."),
    (".feedforward.down.", ".ffn_split.model.3."),
    (".spatial_attention.attention.", ".spa_temp_attn.spatial_attention."),
    (".temporal_attention.attention.", ".spa_temp_attn.temporal_attention."),
    (".cross_attention.attention.", ".local_inter_attn.interaction_attention."),
)
_IN_TOKENIZER = (
    (".project.", ".lin."),
    (".around.", ".lin_l."),
    (".own.", ".lin_r."),
    (".spread.", ".conv1."),
    (".mix.", ".conv2."),
)


def read(released: Released) -> Adopted:
    """Both networks as one."""
    assert released.beside is not None
    transformer = Weights.of(released.checkpoint, "InterMask's transformer", {"": "t2m_transformer"})
    transformer.drop(CLIP, FREQUENCIES)
    tokenizer = Weights.of(released.beside, "InterMask's VQ-VAE", {"": "vq_model"})
    sizes = InterMaskSizes(tokenizer=_tokenizer(tokenizer, released.dataset), transformer=_transformer(transformer))
    model = empty(
        released,
        transformer,
        features=representation(released.dataset).features,
        max_frames=released.max_frames,
        text_width=transformer.matrix("cond_emb.weight")[1],
        **sizes.model_dump(),
    )
    own = model.state_dict()
    fill(
        model,
        (transformer, {name: _name(name) for name in own if name.startswith("transformer.")}),
        (tokenizer, {name: _part(name, released.dataset) for name in own if name.startswith("tokenizer.")}),
    )
    return Adopted(model, sizes, released.max_frames)


def _transformer(weights: Weights) -> TransformerSizes:
    return sized(
        TransformerSizes,
        weights,
        width=weights.matrix("cond_emb.weight")[0],
        layers=weights.depth("Transformer.blocks."),
        feedforward=weights.matrix("Transformer.blocks.0.ffn_combined.model.0.weight")[0],
        text_layers=weights.depth("clipTrans.layers."),
        text_feedforward=weights.matrix("clipTrans.layers.0.linear1.weight")[0],
    )


def _tokenizer(weights: Weights, dataset: Dataset) -> TokenizerSizes:
    codes, code = weights.matrix(CODEBOOK)
    return sized(
        TokenizerSizes,
        weights,
        width=weights.shape("decoder.model.0.weight")[0],
        codes=codes,
        code=code,
        depth=weights.depth(f"encoder.model.{_first(dataset)}.1.model."),
    )


def _first(dataset: Dataset) -> int:
    """Place of the first halving among the encoder's modules."""
    return 0 if GRIDS[family(dataset)].skeleton else 2


def _name(name: str) -> str:
    """The official name of one of the transformer's weights."""
    name = renamed(name.removeprefix("transformer."), _MODULES)
    for here, there in _IN_BLOCKS:
        name = name.replace(here, there)
    return name


def _part(name: str, dataset: Dataset) -> str:
    """The official name of one of the tokenizer's weights; a module is named by its place among all of them."""
    side, _, rest = name.removeprefix("tokenizer.").partition(".")
    if side == "codebook":
        return CODEBOOK
    first = _first(dataset)
    rest = re.sub(r"^skeleton\.(\d)", lambda found: f"gcn_layer{int(found[1]) + 1}", rest)
    rest = re.sub(r"^start\.", "model.0.", rest)
    if side == "encoder":
        rest = re.sub(r"^halvings\.(\d)\.0\.", lambda found: f"model.{int(found[1]) + first}.0.", rest)
        rest = re.sub(
            r"^halvings\.(\d)\.(\d+)\.",
            lambda found: f"model.{int(found[1]) + first}.1.model.{int(found[2]) - 1}.",
            rest,
        )
        rest = re.sub(r"^out\.", f"model.{first + 2}.", rest)
    else:
        rest = re.sub(
            r"^doublings\.(\d)\.(\d+)\.(spread|mix)\.",
            lambda found: f"model.{int(found[1]) + 2}.0.model.{found[2]}.{found[3]}.",
            rest,
        )
        rest = re.sub(r"^doublings\.(\d)\.\d+\.", lambda found: f"model.{int(found[1]) + 2}.2.", rest)
        rest = re.sub(r"^end\.", "model.4.", rest)
        rest = re.sub(r"^out\.", "model.6.", rest)
    name = f"{side}.{rest}"
    for here, there in _IN_TOKENIZER:
        name = name.replace(here, there)
    return name


READER = Reader(title="InterMask", read=read, beside="the VQ-VAE")
