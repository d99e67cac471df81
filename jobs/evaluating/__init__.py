"""What the job ``evaluate`` is made of: each evaluator asks the same questions in its own way, and leaves the same records."""
