#!/bin/sh
# 0: the last one goes. Where systemd does not run, it may be enabled all the same.
if [ "$1" = 0 ] && command -v systemctl >/dev/null 2>&1; then
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now gcpreload-export.service >/dev/null 2>&1 || :
	else
		systemctl --no-reload disable gcpreload-export.service >/dev/null 2>&1 || :
	fi
fi
