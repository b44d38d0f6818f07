"""Models: baselines, the batch ensemble, the online learner and the blend that makes a prediction of them."""
