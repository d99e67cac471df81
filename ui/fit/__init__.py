"""Whether something fits in the memory that is free: bar, meter, and now."""
