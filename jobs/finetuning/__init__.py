"""What ``jobs.finetune`` and ``jobs.rehearse`` are made of: rows, the two engines, checkpoints, samples, and what comes after."""
