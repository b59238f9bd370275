"""What operators need: logs without personal details, health, metrics."""
