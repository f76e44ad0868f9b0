"""The study as a graph: command line, stage table, rules, and the rendering of tables and figures."""
