"""Cost of the models: parameters, operations, time and memory of sampling, training and the scan."""
