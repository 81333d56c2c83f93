"""What tracing survives: many conversations, outages, processes that fork and die, faults of our own, any payload."""
