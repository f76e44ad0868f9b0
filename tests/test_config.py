"""params.yaml: its profiles, one schema, and errors that name the knob."""

from pathlib import Path

import pytest
import yaml

from intermamba import config
from intermamba.errors import ConfigError
from intermamba.methods import methods

PROFILES = ("smoke", "study-cpu", "study-gpu", "paper")


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = Path("params.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_load_and_are_frozen(profile: str) -> None:
    loaded = config.load(profile)
    assert loaded.profile == profile
    with pytest.raises(Exception, match="frozen"):
        loaded.seed = 1  # type: ignore[misc]


def test_default_profile_is_the_one_ci_runs() -> None:
    assert config.load().profile == "smoke"


def test_paper_profile_holds_the_papers_values() -> None:
    """Paper section 5.1, and the official sizes."""
    paper = config.load("paper")
    assert (paper.training.epochs, paper.training.batch) == (2000, 50)
    assert (paper.training.learning_rate, paper.training.weight_decay) == (1e-4, 2e-5)
    assert (paper.diffusion.steps, paper.diffusion.sampling_steps, paper.diffusion.eta) == (1000, 50, 0)
    assert (paper.diffusion.guidance, paper.diffusion.null_probability) == (3.5, 0.1)
    assert (paper.model.state, paper.model.modules) == (16, 2)
    assert paper.text.tower == "clip"
    assert paper.protocol == {"interhuman": "interhuman", "interx": "interx"}


def test_a_tilde_is_the_home_folder_in_every_path_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = {
        "text": {"weights": "~/clip.safetensors"},
        "datasets": {"interx": {"source": "~/interx", "skeleton": "~/body.npz"}},
        "evaluator": {"checkpoint": {"interx": "~/finest.tar", "interhuman": "./a//b"}},
        "official": {"interx": {"t2m": {"checkpoint": "~/t2m.tar", "normalisation": "~/stats", "beside": "~/len.tar"}}},
        "motions": {"interx": {"mine": {"folder": "~/motions", "label": "Mine"}}},
    }
    loaded = config.load("smoke", changes=given)
    assert loaded.text.weights == "/home/me/clip.safetensors"
    data = loaded.datasets["interx"]
    assert (data.source, data.skeleton) == ("/home/me/interx", "/home/me/body.npz")
    assert loaded.evaluator.checkpoint["interx"] == "/home/me/finest.tar"
    assert [*loaded.official["interx"]["t2m"].model_dump().values()] == [
        f"/home/me/{name}" for name in ("t2m.tar", "stats", "len.tar")
    ]
    assert loaded.motions["interx"]["mine"].folder == "/home/me/motions"
    # What has none is recorded as it is written.
    assert loaded.evaluator.checkpoint["interhuman"] == "./a//b"
    assert loaded.datasets["interhuman"].source == "synthetic"
    with pytest.raises(ConfigError, match=r"text\.weights: '~nobody-here/x'"):
        config.load("smoke", changes={"text": {"weights": "~nobody-here/x"}})


def test_profiles_say_only_what_they_change() -> None:
    """A value that repeats the base's would hide where a number comes from."""
    document = config.read()

    def repeated(base: object, changes: object, place: str) -> list[str]:
        if isinstance(changes, dict) and isinstance(base, dict):
            return [
                found for key in changes if key in base for found in repeated(base[key], changes[key], f"{place}.{key}")
            ]
        return [place] if base == changes else []

    found = [entry for name in PROFILES for entry in repeated(document["base"], document["profiles"][name] or {}, name)]
    assert not found


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "sampling_steps: 50",
            "sampling_step: 50",
            ["diffusion.sampling_step", "Did you mean 'sampling_steps'", "eta"],
        ),
        ("guidance: 3.5", "guidance: high", ["diffusion.guidance", "'high'"]),
        ("guidance: 3.5", "guidance: -1", ["diffusion.guidance", "greater than or equal to 0", "-1"]),
        ("sampling_steps: 50", "sampling_steps: 1001", ["sampling_steps 1001 exceeds the 1000 steps"]),
        ("ddim: [5, 10, 20, 50, 100]", "ddim: [5, 2000]", ["steps.solvers.ddim", "2000", "diffusion.steps 1000"]),
        ("bins: 5", "bins: 1001", ["fusion.bins 1001 exceeds diffusion.steps 1000"]),
        ("velocity: 30.0", "velocity: -30.0", ["losses.velocity", "greater than or equal to 0"]),
        ("epochs: 100, batch: 96", "epochs: 100, batch: 1", ["evaluator.training.interhuman.batch", "greater than 1"]),
        ("layers: 8\n      heads: 8", "layers: 8\n      heads: 7", ["evaluator.interclip.width 1024", "heads 7"]),
        ("null_probability: 0.1", "null_probability: 1.5", ["null_probability", "1.5"]),
        ("state: 16", "state: -1", ["model.state", "-1"]),
        ("  seed: 0", "  seeds: 0", ["seeds", "Did you mean 'seed'"]),
        ("min_frames: 15", "min_frames: 400", ["interhuman", "400", "max_frames"]),
        ("min_frames: 15", "min_frame: 15", ["Did you mean 'min_frames'", "allow_missing"]),
        ("width: 1024", "width: 1023", ["1023", "8"]),
        ("official: {}", "official: {interhuman: {intermamba: {}}}", ["official.interhuman.intermamba", "'in2in'"]),
        (
            "      interhuman: {epochs: 100,",
            "      interhuman: {recipe: official, epochs: 100,",
            ["evaluator.training.interhuman", "only Inter-X's authors", "recipe to standard"],
        ),
        ("official: {}", "official: {interhuman: {intergen: {file: x}}}", ["unknown key 'file'", "checkpoint"]),
        ("  methods: {}", "  methods: [mdm]", ["methods", "dictionary"]),
        ("  methods: {}", "  methods: {mdm: 5}", ["methods.mdm", "5"]),
        ("  methods: {}", "  methods: {mdm: {training: 5}}", ["methods.mdm.training", "5"]),
        (
            "  methods: {}",
            "  methods: {mdm: {sizes: {width: 5}}}",
            ["methods.mdm.sizes", "sizes are under 'model'"],
        ),
        (
            "  methods: {}",
            "  methods: {temos: {model: {width: 5}}}",
            ["methods.temos.model", "sizes are under 'sizes'"],
        ),
        ("  methods: {}", "  methods: {temos: {sizes: {widht: 5}}}", ["methods.temos.sizes", "widht"]),
        (
            "  methods: {}",
            "  methods: {t2m: {parts: {movements: {epochz: 5}}}}",
            ["methods.t2m.parts.movements", "epochz"],
        ),
        ("learning_rates: {}", "learning_rates: {interx: {intergem: 1.0e-3}}", ["learning_rates.interx", "'intergen'"]),
        ("learning_rates: {}", "learning_rates: {interxx: {intergen: 1.0e-3}}", ["learning_rates", "interxx"]),
        ("learning_rates: {}", "learning_rates: {interx: {intergen: 0}}", ["learning_rates.interx.intergen", "0"]),
        ("learning_rates: {}", "learning_rates: {interx: 5}", ["learning_rates.interx", "5"]),
        (
            "loss_weights: {}",
            "loss_weights: {interx: {intergem: {simple: 1.0}}}",
            ["loss_weights.interx", "'intergen'"],
        ),
        ("loss_weights: {}", "loss_weights: {interx: {mdm: {smple: 1.0}}}", ["loss_weights.interx.mdm", "smple"]),
        ("loss_weights: {}", "loss_weights: {interx: {mdm: {simple: -1.0}}}", ["loss_weights.interx.mdm", "-1"]),
    ],
)
def test_a_wrong_knob_is_named(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        config.load("paper", path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_paper_profile_refuses_an_untrained_tower(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs the real CLIP weights; untrained is refused"):
        config.load("paper", edited(tmp_path, "tower: clip", "tower: untrained"))


@pytest.mark.parametrize("stand_in", ["sentence", "untrained"])
@pytest.mark.parametrize("method", methods())
def test_paper_profile_refuses_a_stand_in_for_what_a_method_reads(tmp_path: Path, method: str, stand_in: str) -> None:
    """CLIP ViT-B/32 of MDM, ViT-L/14@336 of InterMask, DistilBERT of TEMOS, and what any other method has."""
    new = f"methods: {{{method}: {{text: {{tower: {stand_in}, width: 64}}}}}}"
    with pytest.raises(
        ConfigError, match=rf"methods\.{method}\.text\.tower: .*; {stand_in} is a stand-in and is refused"
    ):
        config.load("paper", edited(tmp_path, "methods: {}", new))


def test_official_checkpoints_need_the_data_and_evaluator_of_a_row(tmp_path: Path) -> None:
    old, new = "official: {}", "official: {interx: {intergen: {checkpoint: a, normalisation: b}}}"
    path = edited(tmp_path, old, new)
    assert list(config.load("smoke", path).adopted()) == [("interx", "intergen")]
    document = yaml.safe_load(path.read_text())
    document["profiles"]["smoke"]["runs"] = {"interx": None}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"official\.interx: needs rows of interx under runs"):
        config.load("smoke", path)


INTERX = {"intermamba", "intergen", "t2m", "t2m_given", "temos", "mdm", "mdm_gru", "com_mdm", "intermask"}
"""Rows of Inter-X in the base."""


@pytest.mark.parametrize(
    ("changes", "there", "gone"),
    [
        ({"interhuman": {"my_idea": [0, 1]}}, {("interhuman", "my_idea", 0), ("interhuman", "my_idea", 1)}, set()),
        ({"interhuman": {"intermamba": [5]}}, {("interhuman", "intermamba", 5)}, {("interhuman", "intermamba", 0)}),
        ({"interhuman": {"in2in": []}}, {("interhuman", "intergen", 0)}, {("interhuman", "in2in", 0)}),
        (
            {"interx": None},
            {("interhuman", "in2in", 0)},
            {("interx", name, 0) for name in INTERX},
        ),
    ],
)
def test_runs_of_a_profile_are_added_to_those_of_the_base(tmp_path: Path, changes: dict, there: set, gone: set) -> None:
    document = config.read()
    document["profiles"]["smoke"]["runs"] = changes
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    rows = set(config.load("smoke", path).rows())
    assert there <= rows
    assert rows - there == set(config.load("smoke").rows()) - there - gone


def test_a_study_without_runs_is_refused(tmp_path: Path) -> None:
    document = config.read()
    document["profiles"]["smoke"]["runs"] = {"interhuman": None, "interx": None}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match="at least one variant"):
        config.load("smoke", path)


def test_unknown_profile_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'smoke'\? Allowed: paper, smoke, study"):
        config.load("smoked")


def test_missing_and_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(path=tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("profile: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load(path=broken)
    broken.write_text(yaml.safe_dump({"profile": "smoke"}))
    with pytest.raises(ConfigError, match="needs exactly the keys"):
        config.load(path=broken)


def test_rows_and_sections() -> None:
    smoke = config.load("smoke")
    assert ("interhuman", "intermamba", 0) in list(smoke.rows())
    assert smoke.section("diffusion.guidance") == 3.5
    with pytest.raises(ConfigError, match="Did you mean 'diffusion'"):
        smoke.section("difusion")


def test_every_knob_is_described() -> None:
    """The reference of parameters is generated from these texts."""
    sections = [one for one in vars(config).values() if isinstance(one, type) and issubclass(one, config.Section)]
    assert len(sections) > 20
    bare = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, field in section.model_fields.items()
        if not (field.description or "").strip().endswith((".", "]"))
    ]
    assert not bare
