"""Tables as LaTeX (booktabs, plain pdflatex): one ``table`` environment each, and the document that holds them all."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby

from intermamba.errors import DataError
from workflow.cells import ARROWS, SIGNS, Block, Cell, Column, Row, Table

WIDE = 7
"""Columns that fit the text width in footnote size; a table with more is set smaller."""
LONG = 34
"""Rows that fit a page in footnote size, with the notes; a table with more is set smaller and closer."""

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "—": "---",
        "–": "--",
        "·": r"\textperiodcentered{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "✓": r"\checkmark{}",
        "○": r"$\circ$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "→": r"$\rightarrow$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "α": r"$\alpha$",
        "β": r"$\beta$",
        "σ": r"$\sigma$",
    }
)


def escape(text: str) -> str:
    """Plain Unicode text, safe in LaTeX's text mode.

    Raises:
        DataError: a sign that plain pdflatex cannot print.
    """
    unknown = sorted({sign for sign in text if not (sign.isascii() or ord(sign) in _SPECIAL or _printable(sign))})
    if unknown:
        raise DataError(
            f"{', '.join(map(repr, unknown))} in {text!r}: pdflatex cannot print it. Allowed are Latin letters, their "
            "punctuation and the signs of workflow/tables/latex.py: use these, or add the sign there."
        )
    return text.translate(_SPECIAL)


def _printable(sign: str) -> bool:
    """Whether font encoding T1 has it."""
    return (unicodedata.name(sign, "").startswith("LATIN ") and ord(sign) < 0x180) or sign in "‘’“”…"


def table(value: Table) -> str:
    """One ``table`` environment as wide as the text, with the notes beneath; a table of words breaks over pages.

    Columns that need more than the width of the text are set smaller, whatever the numbers, so nothing sticks out.
    """
    if value.of_words:
        return _of_words(value)
    long = sum(len(block.rows) for block in value.blocks) > LONG
    size = "scriptsize" if long or len(value.columns) > WIDE else "footnotesize"
    stretch = 1.0 if long else 1.15
    columns = f"l{'c' * len(value.columns)}@{{}}"
    lines = [
        f"% Table {value.number}. Made by `intermamba tables`; edits are overwritten. Needs booktabs and graphicx.",
        r"\begin{table}",
        rf"\centering\{size}\setlength{{\tabcolsep}}{{2pt}}\renewcommand{{\arraystretch}}{{{stretch}}}",
        # The number is the paper's, also where only some of the tables are included.
        rf"\setcounter{{table}}{{{value.number - 1}}}",
        rf"\caption{{{escape(value.caption)}}}",
        r"\def\tablerows{%",
        r"\toprule",
        *_head(value),
    ]
    for block in value.blocks:
        lines += _block(block, value)
    lines += [
        r"\bottomrule}",
        rf"\sbox0{{\begin{{tabular}}{{@{{}}{columns}}}\tablerows\end{{tabular}}}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else",
        rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{columns}}}\tablerows\end{{tabular*}}\fi",
    ]
    if value.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}", *_notes(value.notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


def _notes(notes: Iterable[str]) -> list[str]:
    """Paragraphs in footnote size, a little apart."""
    return [
        r"\footnotesize\raggedright\setlength{\parskip}{1.5pt}\setlength{\parindent}{0pt}",
        *(rf"{escape(note)}\par" for note in notes),
    ]


def _of_words(value: Table) -> str:
    """A ``longtable`` whose columns are paragraphs, then the notes."""
    # Columns are four points apart, nearly a hundredth of the text's width.
    rest = min(0.94, 1 - 0.009 * len(value.columns)) - sum(column.width for column in value.columns)
    widths = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{width:.3f}\linewidth}}"
        for width in (rest, *(column.width for column in value.columns))
    )
    lines = [
        f"% Table {value.number}. Made by `intermamba tables`; edits are overwritten.",
        r"\begingroup\scriptsize\setlength{\tabcolsep}{2pt}\renewcommand{\arraystretch}{1.15}",
        rf"\setcounter{{table}}{{{value.number - 1}}}",
        rf"\begin{{longtable}}{{@{{}}{widths}@{{}}}}",
        rf"\caption{{{escape(value.caption)}}}\\",
        r"\toprule",
        *_head(value),
        r"\endfirsthead",
        r"\toprule",
        *_head(value),
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for block in value.blocks:
        lines += _block(block, value)
    return "\n".join([*lines, r"\end{longtable}", *_notes(value.notes), r"\endgroup", ""])


def document(
    title: str,
    summary: Iterable[tuple[str, str]],
    names: Iterable[str],
    figures: Iterable[tuple[str, tuple[str, str]]] = (),
) -> str:
    """A document with ``summary``, then the files ``names`` and ``figures`` in their order.

    Args:
        title: title of the document.
        summary: heading (may be empty) and text of each paragraph.
        names: files of tables, relative to the document's folder.
        figures: file of each figure, its title and what it shows.
    """
    lines = [
        "% Made by `intermamba`; edits are overwritten. Compile in this folder, for example with pdflatex.",
        r"\documentclass[a4paper]{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{lmodern}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage{amsmath,amssymb,array,booktabs,caption,float,graphicx,longtable,textcomp}",
        r"\ifdefined\pdftrailerid\pdftrailerid{}\fi",  # else equal sources give unequal bytes
        r"\captionsetup{font=small,labelfont=bf,skip=6pt}",
        # Everything comes in its order: nothing floats past what follows it.
        r"\floatplacement{table}{H}\floatplacement{figure}{H}\raggedbottom",
        r"\setlength{\parindent}{0pt}\setlength{\parskip}{4pt}\setlength{\emergencystretch}{3em}",
        r"\begin{document}",
        rf"\section*{{{escape(title)}}}",
        *(_paragraph(heading, text) for heading, text in summary),
        *(rf"\input{{{name}}}" for name in names),
        *(line for figure in figures for line in _figure(*figure)),
        r"\end{document}",
        "",
    ]
    return "\n".join(lines)


def _paragraph(heading: str, text: str) -> str:
    return (rf"\textbf{{{escape(heading)}.}} " if heading else "") + escape(text) + r"\par"


def _figure(name: str, caption: tuple[str, str]) -> list[str]:
    title, text = map(escape, caption)
    return [
        r"\begin{figure}",
        rf"\centering\includegraphics[width=\linewidth,height=.4\textheight,keepaspectratio]{{{name}}}",
        rf"\caption*{{\textbf{{{title}.}} {text}}}",
        r"\end{figure}",
    ]


def _head(value: Table) -> list[str]:
    columns, first = value.columns, escape(value.rows_are)
    groups = [(name, len(list(members))) for name, members in groupby(columns, key=lambda column: column.group)]
    lines = []
    if any(name for name, _ in groups):
        cells, rules, start = [first], [], 2
        for name, width in groups:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}" if name else "&" * (width - 1))
            if name:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines = [" & ".join(cells) + r" \\", "".join(rules)]
    labels = [escape(f"{column.label} {ARROWS[column.direction]}".strip()) for column in columns]
    return [*lines, " & ".join(["" if lines else first, *labels]) + r" \\"]


def _block(block: Block, table: Table) -> list[str]:
    """Heading and rows. The heading does not widen the columns, and no page ends with it."""
    end = r"\\*" if table.of_words else r"\\"
    texts = [rf"\textbf{{{escape(block.heading)}}}"]
    if block.subheading:
        texts.append(rf"\textit{{{escape(block.subheading)}}}")
    headings = [
        rf"\multicolumn{{{len(table.columns) + 1}}}{{@{{}}l@{{}}}}"
        rf"{{\makebox[0pt][l]{{\parbox[t]{{\linewidth}}{{\raggedright {text}}}}}}} {end}"
        for text in texts
    ]
    return [r"\midrule", *headings, r"\addlinespace[2pt]", *(_row(row, table.columns) for row in block.rows)]


def _row(row: Row, columns: Sequence[Column]) -> str:
    label = escape(row.label) + (rf" [{row.citation}]" if row.citation else "")
    cells = [row.cells.get(column.key) for column in columns]
    # A cell with two errors is two lines high.
    strut, end = (r"\rule{0pt}{2.9ex}", r" \\[2.5pt]") if any(cell and cell.scatter for cell in cells) else ("", r" \\")
    return strut + " & ".join([label, *map(_cell, cells)]) + end


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "---"
    text = escape(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    raised = rf"^{{\pm {cell.interval}}}" if cell.interval else ""
    lowered = rf"_{{\sigma {cell.scatter}}}" if cell.scatter else ""
    return text + (f"${raised}{lowered}$" if raised or lowered else "") + escape(SIGNS.get(cell.mark, ""))
