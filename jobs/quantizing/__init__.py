"""What a quantization consists of."""
