"""``python -m workflow.cli``: the command line without its script."""

from workflow.cli import main

main()
