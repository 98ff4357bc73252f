"""The Celery application and its delivery rules. It imports no network and no torch.

Signals are connected here, because both the parent and its spawned child import this module.
"""

import logging
from typing import Any

from celery import Celery
from celery.loaders.app import AppLoader
from celery.signals import setup_logging, task_failure, worker_process_init, worker_ready

from storage import jail, logs, redis_address
from storage.redis_address import RedisAddress
from storage.settings import settings
from tasks.worker import fallback, heartbeat, idle, redis_client, runtime, transport


def configuration() -> dict[str, Any]:
    """Return Celery's configuration; Celery calls this when it first needs a value."""
    transport.use()
    address = redis_address.parse(settings().broker)
    return {
        "broker_url": address.broker,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "socket_timeout": redis_client.SOCKET_SECONDS,
            "socket_keepalive": True,
            "priority_steps": [0],
            **(_of_sentinels(address) if address.master else {}),
        },
        # The database counts attempts and knows what waits, so a notification may be lost.
        "task_acks_late": False,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": 1,
        "worker_pool": "prefork",
        "worker_pool_start_method": "spawn",  # CUDA does not survive a fork
        "worker_proc_alive_timeout": 60.0,  # a spawned child imports first, on a slow disk for long
        "worker_hijack_root_logger": False,
        "worker_enable_remote_control": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def _of_sentinels(address: RedisAddress) -> dict[str, Any]:
    own = {**dict(address.sentinel_login), "socket_timeout": redis_client.SOCKET_SECONDS}
    return {"master_name": address.master, "sentinel_kwargs": own}


def log_to_stderr(**_: object) -> None:
    """Log to stderr as every process of photomend; Celery calls this in parent and child."""
    logs.to_stderr()
    logging.getLogger("celery").setLevel(logging.WARNING)


def read_photos_in_a_jail(**_: object) -> None:
    """Read photos in a process without files and network; Celery calls this in the child.

    Its memory is limited also beside a GPU, which it does not use.
    """
    jail.use(settings().memory_megabytes)


class Loader(AppLoader):  # type: ignore[misc]  # Celery ships no types
    """Import the tasks from where photomend is installed; Celery searches the current folder first."""

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> Any:
        return (imp or self.import_module)(module, package=package)


app = Celery("photomend", loader=Loader, include=["tasks.steps.run_step", "tasks.steps.drawing"])
app.add_defaults(configuration)
setup_logging.connect(log_to_stderr)
worker_ready.connect(heartbeat.start)
worker_ready.connect(fallback.start)
worker_process_init.connect(read_photos_in_a_jail)
worker_process_init.connect(idle.start)
worker_process_init.connect(runtime.limit_memory)
task_failure.connect(heartbeat.check_now)
