#!/bin/sh
# Start photomend in the container, as the user PUID with the group PGID if the container runs as root.
set -eu
umask "${UMASK:-022}"
become=""
if [ "$(id -u)" = 0 ]; then
  become="setpriv --reuid ${PUID:-1000} --regid ${PGID:-1000} --clear-groups --no-new-privs"
  # Only what photomend itself keeps, never the photos or the results.
  mkdir -p "$PHOTOMEND_STATE_DIR"
  chown "${PUID:-1000}:${PGID:-1000}" /config "$PHOTOMEND_STATE_DIR"
fi
if [ ! -e "$PHOTOMEND_CONFIG" ]; then
  $become sh -c 'printf "[galleries.photos]\npath = \"/photos\"\noutput = \"/output\"\n" > "$PHOTOMEND_CONFIG"'
fi
exec $become photomend "$@"
