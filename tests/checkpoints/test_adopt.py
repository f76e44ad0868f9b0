"""Adopting an official checkpoint: what comes out is any trained denoiser, and what cannot fit is refused first."""

from pathlib import Path

import numpy as np
import official_files
import pytest
import stages
import torch
from towers import untrained_tower

from intermamba import config, files
from intermamba.checkpoints import official
from intermamba.checkpoints import trained as checkpoint
from intermamba.config import Config, OfficialConfig
from intermamba.errors import ConfigError, DataError
from intermamba.paths import record_of


@pytest.fixture
def study_config() -> Config:
    return untrained_tower(config.load("smoke"))


@pytest.mark.parametrize("names", official_files.STATISTICS)
@pytest.mark.parametrize("variant", ["intergen", "in2in"])
def test_an_adopted_checkpoint_is_like_any_other(
    tmp_path: Path, study_config: Config, names: tuple[str, str], variant: str
) -> None:
    source, output = official_files.write(tmp_path, names, variant), tmp_path / "out" / "weights.safetensors"
    stages.adopt(study_config, "interhuman", variant, source, output)
    trained = checkpoint.load(output)
    assert (trained.variant, trained.dataset, trained.origin) == (variant, "interhuman", "official")
    assert trained.model.max_frames == 300
    torch.testing.assert_close(trained.mean, torch.linspace(-1, 1, 262))
    assert trained.std.dtype == torch.float32
    loaded = official.load(source.checkpoint, official.LAYOUTS[variant])
    for name, value in loaded.state_dict().items():
        assert torch.equal(trained.model.state_dict()[name], value), name
    record = files.read_json(record_of(output))
    assert record["inputs"][source.checkpoint] == files.sha256(source.checkpoint)
    assert record["notes"]["origin"] == "official"
    assert record["notes"]["tower"].startswith("untrained")

    first = output.read_bytes()
    stages.adopt(study_config, "interhuman", variant, source, output)
    assert output.read_bytes() == first


def refused(
    folder: Path, config: Config, source: OfficialConfig, variant: str = "intergen", dataset="interhuman"
) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        stages.adopt(config, dataset, variant, source, folder / "out" / "weights.safetensors")
    assert not (folder / "out").exists()
    return str(caught.value)


def test_what_does_not_fit_is_refused(tmp_path: Path, study_config: Config) -> None:
    sentence = config.load("smoke")
    assert sentence.text.tower == "sentence"
    assert "sentence, but official checkpoints read CLIP" in refused(tmp_path, sentence, official_files.write(tmp_path))
    source = official_files.write(tmp_path, text_width=768)
    assert "reads a text tower 768 wide; that of profile 'smoke' is 64 wide" in refused(tmp_path, study_config, source)
    source = official_files.write(tmp_path)
    message = refused(tmp_path, study_config, source, dataset="interx")
    assert "generates 262 features per person; interx has 336" in message
    assert "Allowed: com_mdm, com_mdm_few, in2in, intergen" in refused(tmp_path, study_config, source, "intermamba")
    assert "a checkpoint of InterGen (intergen); expected in2IN" in refused(tmp_path, study_config, source, "in2in")


def test_the_normalisation_is_checked(tmp_path: Path, study_config: Config) -> None:
    source = official_files.write(tmp_path)
    std = tmp_path / "global_std.npy"
    for values, message in (
        (np.zeros(262), "not positive"),
        (np.full(262, np.nan), "NaN"),
        (np.ones(261), r"needs 262"),
        (np.ones(262, dtype=int), "int64"),
        (np.array(["a"] * 262, dtype=object), "global_std.npy"),
    ):
        np.save(std, values)
        assert message in refused(tmp_path, study_config, source)
    std.unlink()
    assert "std.npy: no such file" in refused(tmp_path, study_config, source)
    Path(source.checkpoint).unlink()
    np.save(std, np.ones(262))
    assert "official.ckpt: no such file" in refused(tmp_path, study_config, source)


def test_a_profile_adopts_only_what_it_names(study_config: Config) -> None:
    with pytest.raises(ConfigError, match=r"unknown official checkpoint 'interhuman\.intergen'.*'smoke'"):
        stages.run("adopt", study_config, "interhuman", variant="intergen")
