#!/bin/sh
# run-in-container.sh ROOT DATA COMMAND…: what a container engine does, by util-linux: own namespaces for processes, mounts
# and network, ROOT read-only, tmpfs on /tmp and DATA on /data, user 65532 without any right. COMMAND is process 1. Needs root.
set -eu
root=$1 data=$2
shift 2
if [ -z "${IN_NAMESPACES:-}" ]; then
  export IN_NAMESPACES=1
  exec unshare --mount --pid --net --ipc --uts --fork --kill-child -- "$0" "$root" "$data" "$@"
fi
unset IN_NAMESPACES
ip link set lo up
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -o remount,bind,ro "$root"
cd "$root"
exec chroot "$root" /usr/bin/setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- "$@"
