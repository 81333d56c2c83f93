"""Opens and ends spans around calls, streams and what they wait for; knows no payloads."""
