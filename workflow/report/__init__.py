"""The report: all results of a profile on one self-contained page.

``lineage`` finds the stage run that made a file, ``page`` lays the page out, ``build`` is the stage. The page's
template, style and scripts are in this folder; scripts are plain JavaScript, joined into the page unchanged.
"""
