"""InterMask (Javed et al. 2025): tokens of both persons' joints and times, predicted by a masked transformer."""

from intermamba.methods.intermask.options import InterMaskOptions, InterMaskSizes
from intermamba.methods.method import ROW, Error, Method, Training

METHOD = Method(
    name="intermask",
    network="intermamba.methods.intermask.network:InterMask",
    options=InterMaskOptions,
    sizes=InterMaskSizes,
    trainings=(
        Training(
            name="tokenizer",
            module="intermamba.methods.intermask.training:TokenizerModule",
            network="intermamba.methods.intermask.tokenizer:Tokenizer",
            options=("graph", "losses"),
            defaults={
                "epochs": 50,
                "warmup_epochs": 0.25,
                "batch": 256,
                "learning_rate": 2e-4,
                "weight_decay": 0.0,
                "schedule": "tenths",
                "gradient_clip": 1.0,
                "precision": "32-true",
            },
        ),
        Training(
            name=ROW,
            module="intermamba.methods.intermask.training:TransformerModule",
            error=Error("tokens", "hidden tokens, cross-entropy"),
            needs=("tokenizer",),
        ),
    ),
    sampler="intermamba.methods.intermask.sampling:InterMaskSampler",
    normalised=("interhuman",),
    layout="intermamba.methods.intermask.official:READER",
    defaults={
        "training": {
            "epochs": 500,
            "warmup_epochs": 0.25,
            "batch": 52,
            "learning_rate": 2e-4,
            "weight_decay": 1e-5,
            "schedule": "thirds",
            "gradient_clip": None,
            "precision": "32-true",
        },
        "diffusion": {"sampling_steps": 20, "guidance": 2.0, "null_probability": 0.1},
    },
    sources={
        "training": "gohar-malik/InterMask, options/trans_option.py, options/vq_option.py and the two trainers",
        "diffusion": "its options/eval_option.py; only these knobs of the section have an effect",
    },
)
