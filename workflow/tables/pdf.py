"""LaTeX documents to PDF, with whichever LaTeX there is."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from intermamba import files
from intermamba.errors import StateError

MISSING = "PDF not made: no latexmk, pdflatex or tectonic on this machine"
_ENGINES = {
    "latexmk": ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error"],
    "pdflatex": ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"],
    "tectonic": ["tectonic", "--chatter=minimal"],
}


def compile_document(source: Path) -> Path | None:
    """The PDF of ``source`` beside it, or ``None`` (and no PDF) where there is no LaTeX; it holds no date.

    Raises:
        StateError: LaTeX rejects the document; the message has the end of its output.
    """
    target = source.with_suffix(".pdf")
    target.unlink(missing_ok=True)
    engine = next((name for name in _ENGINES if shutil.which(name)), None)
    if engine is None:
        return None
    # The document includes files relative to its own folder; LaTeX writes its output elsewhere.
    with tempfile.TemporaryDirectory() as folder:
        output = f"--outdir={folder}" if engine == "tectonic" else f"-output-directory={folder}"
        done = subprocess.run(
            [*_ENGINES[engine], output, source.name],
            cwd=source.parent,
            env=os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        made = Path(folder) / target.name
        if done.returncode or not made.exists():
            raise StateError(
                f"{source}: {engine} failed. The end of its output:\n{(done.stdout + done.stderr)[-1500:]}"
            )
        files.copy(made, target)
    return target
