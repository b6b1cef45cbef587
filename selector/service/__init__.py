"""What keeps running: the dashboard."""
