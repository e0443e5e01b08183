#!/bin/bash
# First process of a private engine's namespaces (pid 1): builds the root that the engine sees,
# moves into it, says "ready" and then lives as long as its standard input is held open, so that
# the engine cannot outlive whoever started it.
#
# usage: private_root.sh CHROOT HOME
#   CHROOT  made by mmdebstrap, never written to: an overlay over it takes every change
#   HOME    directory of this engine: what is written (upper, work) and Docker's data (data)
set -euo pipefail

mount_layers() {
    local chroot=$1 home=$2
    mkdir -p "$home"/{lower,upper,work,root,data}
    mount --bind "$chroot" "$home/lower"
    # Relative names: an overlay's options cannot hold a path with commas or colons.
    cd "$home"
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root
    cd root
}

mount_kernel_filesystems() {
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount --rbind /sys/fs/cgroup sys/fs/cgroup
    mount --rbind /dev dev
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    mkdir -p var/lib/docker
    mount --bind ../data var/lib/docker
}

enter() {
    pivot_root . mnt
    cd /
    umount --lazy /mnt
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    ip link set lo up
}

mount_layers "$1" "$2"
mount_kernel_filesystems
enter
echo ready
exec > /dev/null 2>&1
# bash, as pid 1, also reaps what containers and killed daemons leave behind.
while read -r _; do :; done
