"""RIG, role-aware interaction generation (Tanaka and Fujiwara 2023): a caption for each person, linear attention."""

from typing import Annotated

from pydantic import Field

from intermamba.methods.mdm import CLIP_B32
from intermamba.methods.method import ROW, Error, Method, Options, Process, Training


class RigOptions(Options):
    """Choices of RIG."""

    text_width: Annotated[int, Field(gt=0, le=8192)] = 256
    """Features of a token in the trained text encoder."""


METHOD = Method(
    name="rig",
    network="intermamba.methods.rig.network:Rig",
    options=RigOptions,
    trainings=(
        Training(
            name=ROW,
            module="intermamba.methods.rig.training:RigTraining",
            error=Error("simple", "noise in the motion, mean square"),
            devices="any",
        ),
    ),
    process=Process(schedule="linear", predicts="noise"),
    individual=True,
    guided="no",
    text="CLIP ViT-B/32, token features",
    defaults={
        "text": CLIP_B32,
        "model": {
            "width": 512,
            "heads": 8,
            "feedforward": 1024,
            "dropout": 0.0,
            "transformer_blocks": 8,
            "text_layers": 4,
            "text_heads": 4,
            "text_feedforward": 2048,
        },
        "diffusion": {"eta": 1.0, "sampling_steps": 1000, "null_probability": 0.0},
        "training": {
            "warmup_epochs": 0,
            "batch": 160,
            "learning_rate": 2.0e-4,
            "weight_decay": 0.0,
            "schedule": "constant",
        },
    },
    sources={
        "model": "line/Human-Interaction-Generation, codes/models/interaction_transformer.py",
        "diffusion": "codes/trainers/mul_ddpm_trainer.py (1000 steps, linear, noise, FIXED_SMALL)",
        "training": "codes/options/train_options.py and README (Adam 2e-4, clip 0.5, batch 160)",
    },
)
