"""Page Quantize: the steps to a smaller model, and the report of what it costs."""
