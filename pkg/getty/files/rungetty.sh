#!/bin/sh
# rungetty.sh — a login prompt on each console that the kernel's command line names, again after each session.
#
# INSECURE=true logs root in without a password. /etc/getty.shadow of the machine is who may log in otherwise.
set -eu

shadow=/hostroot/etc/getty.shadow
if [ -f "$shadow" ]; then
  cp "$shadow" /etc/shadow
  chmod 0600 /etc/shadow
fi
if [ "${INSECURE-}" = true ]; then
  set -- -n -l /usr/bin/login-as-root
elif ! grep -q '^root:[^*!:]' /etc/shadow; then
  echo "getty: nobody can log in: root has no password in /etc/getty.shadow, and INSECURE is not true" >&2
fi

# watch TTY SPEED TERM OPTION...: one console, as long as the service runs.
watch() {
  tty=$1 speed=$2 term=$3
  shift 3
  while :; do
    # A session of its own, with the console as its terminal.
    setsid getty "$@" "$speed" "$tty" "$term" || sleep 1
  done
}

seen=' '
for word in $(cat /proc/cmdline); do
  case $word in console=*) ;; *) continue ;; esac
  console=${word#console=}
  tty=${console%%,*}
  case $seen in *" $tty "*) continue ;; esac
  seen="$seen$tty "
  [ -c "/dev/$tty" ] || continue
  # 115200n8: the digits are the speed.
  speed=${console#"$tty"} speed=${speed#,} speed=${speed%%[!0-9]*}
  grep -qx "$tty" /etc/securetty || echo "getty: root may not log in on $tty: it is not in /etc/securetty" >&2
  case $tty in
    ttyS* | ttyAMA* | ttyUSB* | ttyMFD*) watch "$tty" "${speed:-115200}" vt100 -L "$@" & ;;
    tty[0-9]*) watch "$tty" "${speed:-38400}" linux "$@" & ;;
    *) watch "$tty" "${speed:-115200}" linux "$@" & ;;
  esac
done
[ "$seen" != ' ' ] || { echo "getty: the kernel's command line has no console=" >&2; exit 1; }
wait
