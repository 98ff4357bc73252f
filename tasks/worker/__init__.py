"""The worker process: Celery, heartbeat, notifications, loaded networks."""
