"""The only writers: scale, status and events."""
