"""Names of datasets and of origins of data, as tables and figures print them."""

DATASETS = {"interhuman": "InterHuman", "interx": "Inter-X"}
ORIGINS = {"synthetic": "synthetic embedded split", "official": "official data"}


def dataset_name(dataset: str) -> str:
    return DATASETS.get(dataset, dataset)


def origin_name(origin: str) -> str:
    return ORIGINS.get(origin, origin)
