"""``python -m workflow.publish``: see :mod:`workflow.publish.publish`."""

from workflow.publish.publish import main

main()
