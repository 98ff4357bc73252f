"""The command `notify`: try the receivers of messages."""

import typer

from daemon.console.exit_codes import Exit
from storage.errors import SettingsError
from storage.settings import settings
from storage.text import printable
from storage.urls import hidden

app = typer.Typer(no_args_is_help=True, help="Try the receivers of messages.")


@app.callback()
def notify() -> None:
    """Try the receivers of messages, and the MQTT broker."""


@app.command()
def test() -> None:
    """Send one message to each receiver of the settings, and print what each one answered.

    Example: photomend notify test
    """
    from daemon.messages import home_assistant, receivers
    from daemon.messages.receivers import Message

    known = settings()
    urls = known.notify.receivers()
    if not urls and not known.mqtt.address:
        raise SettingsError(
            "there is no receiver; set urls in [notify] of the settings, such as "
            'urls = ["ntfys://ntfy.sh/my-topic"]'
        )
    text = "This is a test: messages of photomend reach you here."
    answers = receivers.send([Message(url, "photomend", text) for url in urls])
    rows = [(hidden(url), answer) for url, answer in zip(urls, answers, strict=True)]
    if known.mqtt.address:
        rows.append((f"mqtt {known.mqtt.address}", home_assistant.trial(known.mqtt)))
    for name, answer in rows:
        line = "it was taken" if answer.delivered else f"it was NOT taken: {answer.said}"
        typer.echo(printable(f"{name}: {line}"))
    if not all(answer.delivered for _, answer in rows):
        raise typer.Exit(Exit.PROBLEM)
