"""Numbers of a profile: aggregation, the paper's and this run's rows, claims and the statistics behind them."""
