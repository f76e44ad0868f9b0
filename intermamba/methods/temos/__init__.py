"""TEMOS (Petrovich et al. 2022): one latent vector for a whole clip, from the caption or from the motion."""

from intermamba.methods.method import ROW, Error, Method, Training
from intermamba.methods.temos.options import TemosOptions, TemosSizes

METHOD = Method(
    name="temos",
    network="intermamba.methods.temos.network:Temos",
    options=TemosOptions,
    sizes=TemosSizes,
    trainings=(
        Training(
            name=ROW,
            module="intermamba.methods.temos.training:TemosModule",
            error=Error("text", "motion from the caption, smooth L1 of normalised features"),
        ),
    ),
    sampler="intermamba.methods.temos.sampling:TemosSampler",
    guided="no",
    stepwise=False,
    text="DistilBERT base uncased, last hidden states",
    defaults={
        "text": {"tower": "huggingface", "weights": "datasets/distilbert-base-uncased", "width": 768, "context": 77},
        "training": {
            "epochs": 1001,
            "warmup_epochs": 0,
            "batch": 32,
            "learning_rate": 1e-4,
            "weight_decay": 0.01,
            "schedule": "constant",
            "gradient_clip": None,
            "precision": "32-true",
        },
    },
    sources={
        "text": "Mathux/TEMOS, configs/model/textencoder/distilbert_actor.yaml; it pads to the longest of a batch",
        "training": "Mathux/TEMOS, configs (trainer, machine/server, model/optim); the weight decay is AdamW's own",
    },
)
