"""What is measured: ground truth, trained models, other projects' motions, solvers and steps."""
