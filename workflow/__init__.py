"""The study as a graph: command line, stages, evaluation, results, tables, figures and the report."""
