#!/bin/sh
# Print the name of an image with Python 3.11 to build on; make one if none is there.
#
# python:3.11-slim is taken where it is local or can be pulled. Where it cannot (no registry in
# reach), an equal base is made with debootstrap from a Debian mirror: bookworm's minimal system,
# Python 3.11 with venv, and certificates, imported as sagelocal/python:3.11. That needs root.
#
#   BASE_IMAGE=$(containers/base/make_base.sh)
#
# DEBIAN_MIRROR   where packages come from   (default http://deb.debian.org/debian)
# DOCKER          the docker command         (default docker)
set -eu

pulled=python:3.11-slim
made=sagelocal/python:3.11
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
docker=${DOCKER:-docker}

say() {
    echo "make_base.sh: $*" >&2
}

is_local() {
    $docker image inspect "$1" >/dev/null 2>&1
}

for image in "$pulled" "$made"; do
    if is_local "$image"; then
        echo "$image"
        exit 0
    fi
done

if ! $docker version >/dev/null 2>&1; then
    say "no Docker engine answers: $($docker version 2>&1 | tail -n 1)"
    exit 1
fi
if refusal=$($docker pull --quiet "$pulled" 2>&1); then
    echo "$pulled"
    exit 0
fi
say "$pulled cannot be pulled ($refusal); making $made with debootstrap from $mirror"

if [ "$(id -u)" -ne 0 ]; then
    say "debootstrap needs root: run this once with sudo, or load $pulled by 'docker load'"
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    say "installing debootstrap"
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap; } >&2; then
        say "debootstrap is not there and apt-get cannot install it; install it and run this again"
        exit 1
    fi
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM

# The first stage of debootstrap makes what the second runs in.
if ! debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    bookworm "$root" "$mirror" >"$root.log" 2>&1; then
    tail -n 5 "$root.log" >&2
    say "debootstrap failed; all it said is in $root.log"
    exit 1
fi
rm -f "$root.log"

# What an image does not need: documents, translations, lists and caches of packages, logs.
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* \
    "$root"/usr/share/lintian "$root"/usr/share/locale/* "$root"/usr/share/i18n \
    "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/tmp/*
printf 'path-exclude=%s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' \
    >"$root/etc/dpkg/dpkg.cfg.d/slim"
# This machine's own; the engine gives each container its own.
: >"$root/etc/resolv.conf"
rm -f "$root/etc/hostname"

tar --create --numeric-owner --one-file-system --directory "$root" . |
    $docker import \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV LANG=C.UTF-8' \
        --change 'CMD ["python3"]' \
        --message "bookworm with Python 3.11, by debootstrap" \
        - "$made" >/dev/null
echo "$made"
