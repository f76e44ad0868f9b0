"""Knobs at which the whole pipeline takes seconds: differences from the profile ``smoke``."""

MICRO = {
    "datasets": {
        name: {"synthetic": {"train": 16, "val": 32, "test": 64, "seconds": [1.5, 1.6]}, "max_frames": 24}
        for name in ("interhuman", "interx")
    },
    "text": {"width": 16, "layers": 1, "context": 40},
    "model": {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16, "rank": 2},
    "diffusion": {"sampling_steps": 2},
    "training": {"epochs": 4, "batch": 8, "checkpoint_every_epochs": 1, "log_every_steps": 1},
    "evaluator": {
        "interclip": {"width": 16, "layers": 1, "heads": 2, "feedforward": 16, "embedding": 8, "text_layers": 1},
        "interx": {"movement": 16, "hidden": 16, "text_hidden": 16, "embedding": 8},
        "training": {"interhuman": {"epochs": 1, "batch": 8}, "interx": {"epochs": 1, "batch": 8}},
    },
    "sensitivity": {"repeats": 2},
    "steps": {"solvers": {"ddim": [1, 2], "dpm-solver++": [2, 3]}, "repeats": 2},
    "complexity": {"frames": 24, "repeats": {"cpu": 1}},
    "report": {"prompts": 2},
}


def merge(base: dict, changes: dict) -> dict:
    return base | {
        key: merge(base[key], value) if isinstance(value, dict) and key in base else value
        for key, value in changes.items()
    }
