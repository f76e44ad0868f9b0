"""The test clips of an embedded dataset, performed again: how far ground truth is from ground truth."""

from pathlib import Path

from intermamba.config import DatasetConfig
from intermamba.data.fetch import write_synthetic
from intermamba.data.layouts import layout
from intermamba.data.splits import SplitFile, write_split


def retaken(test: SplitFile, settings: DatasetConfig, folder: Path) -> SplitFile:
    """Clips with the ids, kinds, parameters and lengths of ``test``, in other performances; the file is in ``folder``.

    Captions are those of the other performances. Only the embedded data can be performed again.
    """
    dataset, raw, file = test.dataset, folder / "raw", folder / "test.safetensors"
    write_synthetic(raw, dataset, settings, again=True)
    place = layout(dataset, raw, settings)
    skeleton, offsets = place.skeleton(), place.offsets()
    clips = map(place.read, test.ids)
    write_split(file, clips, dataset=dataset, split="test", origin=test.origin, skeleton=skeleton, offsets=offsets)
    return SplitFile(file)
