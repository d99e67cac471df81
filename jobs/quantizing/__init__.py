"""What ``jobs.quantize`` is made of.

work        what is to be done, settled once and kept for every attempt
rows        the calibration texts, kept in the job's folder
compressor  llm-compressor, in the job's own process: GPTQ, plain rounding, int8, FP8
lite        LMDeploy's ``lite``, in its environment: AWQ, SmoothQuant
stages      made, checked, dressed: each done once, whatever interrupts
checking    the copy is smaller, its numbers are numbers, and it answers like the model that it was made from
keeping     its tokenizer, its contract and its card; and a name on the list
dequantize  quantized weights as a plain model, to measure what cannot be served here
packing     how AWQ and SmoothQuant store a weight
failing     what went wrong, as a person should hear it
"""
