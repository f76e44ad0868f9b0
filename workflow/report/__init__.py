"""The report: everything that a profile's run has to tell, as one page that needs nothing else.

``lineage`` says which stage run made a file, ``page`` lays the page out, ``build`` is the stage. The page's template,
style and scripts lie beside them; scripts are plain JavaScript, joined into the page as they are.
"""
