#!/bin/sh
# Build stage of every image: install into /opt/venv what the arguments say (they are pip's own),
# and put each file that this added under /delta, for the final stage to copy.
#
#   RUN sh /build/install.sh -r /build/requirements.lock
#   RUN sh /build/install.sh --no-deps /build/train /build/serve
#
# Packages' own tests stay behind. Only /delta leaves the build stage. A private CA (/build/ca/ca.pem, from .build/ca.pem of the
# build context) is trusted here and is in no layer of the image that is tagged.
set -eu

ca=/build/ca/ca.pem
if [ -s "$ca" ]; then
    export PIP_CERT="$ca" SSL_CERT_FILE="$ca" REQUESTS_CA_BUNDLE="$ca"
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

if [ ! -x /opt/venv/bin/python ]; then
    mkdir -p /delta/opt
    python3 -m venv /opt/venv
    touch -d @0 /build/started
fi
if [ ! -e /build/started ]; then
    touch /build/started
    /opt/venv/bin/pip list --format=freeze | sort >/build/packages-of-base
fi

/opt/venv/bin/pip install --compile "$@"

# A package of the base that changed would be there twice: a copy adds files and removes none.
if [ -e /build/packages-of-base ]; then
    /opt/venv/bin/pip list --format=freeze | sort >/build/packages-now
    if comm -23 /build/packages-of-base /build/packages-now | grep .; then
        echo "install.sh: the lock asks for other versions of these packages of the base image;" \
            "compile it with -c containers/base/requirements.lock" >&2
        exit 1
    fi
fi

rm -rf /delta
mkdir -p /delta
cd /
find opt/venv -path '*/site-packages/*/tests/*' -prune -o \
    \( -type f -o -type l \) -newercm /build/started -print0 |
    tar --create --null --files-from=- --file=- | tar --extract --file=- --directory=/delta
