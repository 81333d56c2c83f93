"""What tracing survives: many conversations, faults at both ends, outages; seeded, over real sockets."""
