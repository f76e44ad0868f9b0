"""MDM (Tevet et al. 2023) on two persons: the pair as one sequence of twice the features, by a transformer or a GRU."""

from typing import Literal

from intermamba.methods.method import CLEAN_MOTION, ROW, Method, Options, Training

CLIP_B32 = {"architecture": "ViT-B-32-quickgelu", "width": 512, "heads": 8}
"""CLIP ViT-B/32 through open_clip; OpenAI trained with QuickGELU."""
SIZES = {"width": 512, "heads": 4, "feedforward": 1024, "dropout": 0.1, "transformer_blocks": 8}
SAMPLING = {"eta": 1.0, "sampling_steps": 1000, "guidance": 2.5}
"""DDPM's ancestral sampling, with the posterior's variance (``FIXED_SMALL``)."""
TRAINING = {"warmup_epochs": 0, "batch": 64, "weight_decay": 0.0, "schedule": "constant", "gradient_clip": None}
SOURCES = {
    "text": "GuyTevet/motion-diffusion-model, model/mdm.py: CLIP ViT-B/32; its projection is merged into embed_text",
    "model": "utils/parser_util.py (layers 8, latent_dim 512) and model/mdm.py",
    "diffusion": "utils/model_util.py (1000 steps, cosine, FIXED_SMALL, guidance 2.5, text dropped with p = 0.1)",
    "training": "utils/parser_util.py (AdamW 1e-4, no decay, batch 64); 600,000 steps there, here epochs",
}


class MdmOptions(Options):
    """Choices of MDM."""

    form: Literal["as_released", "fixed"] = "as_released"
    """The released code does not mask padded frames, and its GRU recurs over the batch in place of the frames
    (``batch_first=True`` on a tensor of frames by batch). ``fixed`` masks the padding and recurs over frames."""


class MdmBackboneOptions(MdmOptions):
    """Choices of MDM on the pair."""

    backbone: Literal["transformer", "gru"] = "transformer"
    """Mixer of the frames."""


METHOD = Method(
    name="mdm",
    network="intermamba.methods.mdm.network:Mdm",
    options=MdmBackboneOptions,
    trainings=(
        Training(name=ROW, module="intermamba.methods.mdm.training:MdmTraining", error=CLEAN_MOTION, devices="any"),
    ),
    text="CLIP ViT-B/32, sentence",
    defaults={"text": CLIP_B32, "model": SIZES, "diffusion": SAMPLING, "training": TRAINING},
    sources=SOURCES,
    layout="intermamba.methods.mdm.official:READER",
)
