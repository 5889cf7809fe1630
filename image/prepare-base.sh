#!/bin/sh
# Makes a Debian with the packages of debian-packages.txt the base of the image: the user, the data directory, nothing that
# only a package manager or a reader wants. Run as root inside it, by the Containerfile and by tools/build-image.ts.
set -eu

# Not useradd: it writes the day into /etc/shadow, and the same input must give the same image.
grep -q '^enclave-manager:' /etc/group || echo 'enclave-manager:x:65532:' >>/etc/group
# PostgreSQL of a drill asks for the name of its user.
grep -q '^enclave-manager:' /etc/passwd ||
  echo 'enclave-manager:x:65532:65532:Enclave Manager:/nonexistent:/usr/sbin/nologin' >>/etc/passwd

# Rules for devices that no container makes, and 30 MB of names for them; the TPM libraries only depend on them.
dpkg --purge --force-depends tpm-udev udev >/dev/null

mkdir -p /data
chown 65532:65532 /data
chmod 0700 /data

# Licences stay.
find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -type l -delete
find /usr/share/doc -depth -mindepth 1 -type d -empty -delete
rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/* /usr/share/lintian /usr/share/bash-completion
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old
find /var/log -type f -delete
# Nobody becomes another user here.
find / -xdev -type f -perm /6000 -exec chmod ug-s '{}' +
