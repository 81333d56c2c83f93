"""A local Mistral: what it answers, how, and when it fails."""
