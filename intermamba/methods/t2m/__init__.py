"""T2M (Guo et al. 2022): movements of four frames, sampled one after the other from the words of a caption."""

from intermamba.methods.method import ROW, Error, Method, Training
from intermamba.methods.t2m.options import T2MOptions, T2MSizes

_SHARED = {"warmup_epochs": 0, "weight_decay": 0.0, "schedule": "constant", "precision": "32-true"}

METHOD = Method(
    name="t2m",
    network="intermamba.methods.t2m.network:T2M",
    options=T2MOptions,
    sizes=T2MSizes,
    trainings=(
        Training(
            name="movements",
            module="intermamba.methods.t2m.training:MovementModule",
            network="intermamba.methods.t2m.network:MovementAutoencoder",
            options=("autoencoder",),
            defaults={**_SHARED, "epochs": 270, "batch": 128, "learning_rate": 1e-4, "gradient_clip": None},
        ),
        Training(
            name="generator",
            module="intermamba.methods.t2m.training:GeneratorModule",
            network="intermamba.methods.t2m.network:MotionGenerator",
            error=Error("motion", "motion decoded from its posterior, smooth L1 of normalised features"),
            needs=("movements",),
            options=("teacher", "losses", "curriculum"),
            defaults={
                **_SHARED,
                "epochs": 1500,
                "batch": 32,
                "learning_rate": 2e-4,
                "gradient_clip": 0.5,
                "checkpoint_every_epochs": 1,
            },
        ),
        Training(
            name=ROW,
            module="intermamba.methods.t2m.training:LengthModule",
            error=Error("length", "length, cross-entropy"),
            needs=("generator",),
        ),
    ),
    sampler="intermamba.methods.t2m.sampling:T2MSampler",
    guided="no",
    stepwise=False,
    text="GloVe word vectors and parts of speech",
    length="drawn",
    layout="intermamba.methods.t2m.official:READER",
    normalised=("interhuman",),
    defaults={
        "text": {
            "tower": "words",
            "weights": "datasets/interx/glove",
            "width": 315,
            "context": 37,
            "precision": "float32",
        },
        "training": {**_SHARED, "epochs": 300, "batch": 64, "learning_rate": 1e-4, "gradient_clip": 0.5},
    },
    sources={
        "text": "liangxuy/Inter-X, evaluation/text2motion/utils/word_vectorizer.py and data/dataset.py",
        "training": "its README's commands and three trainers; the curriculum ends the training, or `epochs` does",
    },
)
