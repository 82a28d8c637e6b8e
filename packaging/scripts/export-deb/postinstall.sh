#!/bin/sh
# As debhelper writes it for a service that is neither enabled nor started by its package.
set -e
unit=gcpreload-export.service

case $1 in
configure | abort-upgrade | abort-deconfigure | abort-remove)
	if deb-systemd-helper debian-installed $unit; then
		# Removed and installed again: as the administrator left it.
		deb-systemd-helper unmask $unit >/dev/null || true
		if deb-systemd-helper --quiet was-enabled $unit; then
			deb-systemd-helper enable $unit >/dev/null || true
		fi
	fi
	deb-systemd-helper update-state $unit >/dev/null || true
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n "$2" ]; then
			deb-systemd-invoke try-restart $unit >/dev/null || true
		fi
	fi
	;;
esac
