#!/bin/sh
# Starts sshd with the machine's host keys; makes one if there is none.
#
# Keys live in /var/lib/ssh, which is the machine's, and on a disk if one is mounted there. Where a YAML's own binds leave it out
# they live in /etc/ssh, and are new at each boot.
set -eu
umask 077

keys=/etc/ssh
if [ -d /var/lib/ssh ]; then keys=/var/lib/ssh; fi

set --
for key in "$keys"/ssh_host_*_key; do
  if [ -s "$key" ]; then set -- "$@" -h "$key"; fi
done
if [ $# = 0 ]; then
  key=$keys/ssh_host_ed25519_key
  rm -f "$keys/new" "$keys/new.pub"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$keys/new"
  # Whole or not at all: a key cut short by a power failure would keep sshd from ever starting again.
  sync
  mv "$keys/new.pub" "$key.pub"
  mv "$keys/new" "$key"
  set -- -h "$key"
fi
for key in "$keys"/ssh_host_*_key.pub; do
  if [ -f "$key" ]; then ssh-keygen -lf "$key" | sed 's/^/host key: /'; fi
done

# Who is logged in, and who was: without the files sshd complains at each login.
for record in /run/utmp /var/log/wtmp /var/log/lastlog; do
  [ -e "$record" ] || touch "$record" 2>/dev/null || echo "logins are not recorded: $record cannot be made" >&2
done

# sshd's unprivileged half is locked in here.
mkdir -p /run/sshd
chmod 0755 /run/sshd
exec /usr/sbin/sshd -D -e "$@"
