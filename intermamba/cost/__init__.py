"""What the models cost: parameters, operations, seconds and memory of sampling, of training and of the scan."""
