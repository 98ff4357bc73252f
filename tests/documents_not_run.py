"""The commands that the documents show and no test can run as they stand, each with its reason."""

_NAMED = "it names the command, which needs more words"
_ROOT = "it changes the machine, as root"
_SERVICE = "it changes systemd; tests/daemon/commands/test_service.py runs it"
_CONTAINER = "it needs a container engine; tests/test_container.py runs the scripts of the image"
_INDEX = "it installs from a package index; tests/test_wheel.py installs the wheel"
_HUB = "it downloads from a hub; tests/daemon/commands/test_weights.py runs it against a server"
_MAKE = "it installs packages; tests/test_packaging.py reads what it would run"
_TRAINS = "it needs torch; tests/tasks/training/test_training.py runs it"
_RECEIVERS = (
    "it sends to the receivers of the owner; tests/daemon/messages/test_receivers.py runs it"
)

_TRY = "it takes a minute; .ci/run and tests/test_install.py run it"

NOT_RUN = {
    "make try": _TRY,
    "make try GALLERY=~/Photos": _TRY,
    "make test": "it would run this test",
    "make paper": _MAKE,
    "~/photomend/bin/pip install 'photomend[cuda]'": _INDEX,
    "~/photomend/bin/pip install --force-reinstall --no-deps onnxruntime-gpu": _INDEX,
    "photomend weights pull": _NAMED,
    "sudo useradd --system --home-dir /var/lib/photomend photomend": _ROOT,
    "sudo git clone THIS_REPOSITORY /opt/photomend && cd /opt/photomend && sudo make service": _MAKE,
    "sudo install -d -o photomend -g photomend /srv/photos-mended": _ROOT,
    "sudo install -d /etc/photomend": _ROOT,
    "sudo .venv/bin/photomend service install": _SERVICE,
    "sudo -u photomend .venv/bin/photomend doctor": _ROOT,
    "sudo photomend service install": _SERVICE,
    "photomend service install": _SERVICE,
    "photomend service install --user": _SERVICE,
    "photomend service install --user --dry-run": _SERVICE,
    "photomend service uninstall": _SERVICE,
    "sudo photomend service uninstall": _SERVICE,
    "uv tool install photomend": _INDEX,
    "uv tool uninstall photomend": _INDEX,
    "python3 -m venv ~/photomend && ~/photomend/bin/pip install photomend": _INDEX,
    "git clone THIS_REPOSITORY photomend && cd photomend/docs/container": _CONTAINER,
    "docker compose up -d": _CONTAINER,
    "docker compose exec --user 1000:1000 photomend photomend status": _CONTAINER,
    "docker compose logs -f": _CONTAINER,
    "docker compose exec --user 1000:1000 photomend photomend web password": _CONTAINER,
    "photomend weights pull super-resolution --accept": _HUB,
    "photomend weights pull RealESRGAN_x4plus": _HUB,
    "photomend weights pull reflection --accept": _HUB,
    "photomend weights pull classify super-resolution motion-blur --accept": _HUB,
    "photomend train reflection-detector PHOTOS": _TRAINS,
    "photomend train reflection-detector ~/Photos --out ~/fit": _TRAINS,
    "photomend train reflection-detector ~/Photos --out ~/fit --yoso yoso_res50_coco.pth": _TRAINS,
    "photomend notify test": _RECEIVERS,
}
