"""Page Fine-tune: the form with its plan, what a run does and did, and runs beside each other."""
