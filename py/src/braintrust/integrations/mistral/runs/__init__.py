"""Client-side runs: one trace for the requests of a run and the functions it executes."""
