#!/bin/sh
set -e
unit=gcpreload-export.service

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
fi
# Also where it was enabled: the links that that made are gone with it.
if [ "$1" = purge ] && command -v deb-systemd-helper >/dev/null; then
	deb-systemd-helper purge $unit >/dev/null || true
	deb-systemd-helper unmask $unit >/dev/null || true
fi
