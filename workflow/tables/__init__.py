"""Tables as values, and their LaTeX, Markdown and PDF."""
