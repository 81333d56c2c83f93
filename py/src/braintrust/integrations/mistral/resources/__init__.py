"""What each call logs: reads requests, responses and streams; knows payloads and no spans."""
