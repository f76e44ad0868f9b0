"""Coverage-guided fuzzing of one reader with atheris, which keeps the inputs that reach new code.

    uv pip install atheris
    python tests/fuzz/guided.py "params.yaml" -runs=20000        (options of libFuzzer)

An input replaces one file of a valid set; its first byte chooses which. A traceback or nonsense stops the run, and
libFuzzer writes the input to a file.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(Path(__file__).parent)]

with atheris.instrument_imports(include=["intermamba", "evaluators"]):
    from campaign import attempt
    from targets import TARGETS

BAD = ("tracebacks", "nonsense", "hangs")


def main() -> None:
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as scratch:
        valid, folder, corpus = (Path(scratch, name) for name in ("valid", "read", "corpus"))
        valid.mkdir()
        corpus.mkdir()
        target.write(valid)
        damaged = [path for path in sorted(valid.rglob(target.files)) if path.is_file()]
        for number, path in enumerate(damaged[:256]):
            (corpus / str(number)).write_bytes(bytes([number]) + path.read_bytes())

        def one(data: bytes) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(valid, folder)
            chosen = damaged[(data[0] if data else 0) % len(damaged)]
            (folder / chosen.relative_to(valid)).write_bytes(data[1:])
            outcome, said = attempt(target, folder)
            if outcome in BAD:
                raise AssertionError(f"{outcome}: {said}")

        atheris.Setup([sys.argv[0], "-timeout=20", *sys.argv[2:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
