#!/bin/sh
# Writes the images of README.md anew, beside itself.
set -eu
cd "$(dirname "$0")"
export SOURCE_DATE_EPOCH=0
tree=$(mktemp -d)
trap 'rm -r "$tree"' EXIT
mkdir -p "$tree/openstack/latest" "$tree/openstack/content"
printf '{"uuid": "golden"}' >"$tree/openstack/latest/meta_data.json"
printf '#cloud-config\n' >"$tree/openstack/latest/user_data"
seq 1 2000 >"$tree/openstack/content/0000"
: >"$tree/empty"
printf 'data' >"$tree/user-data"
ln -s openstack/latest/user_data "$tree/link"

iso() {
    xorriso -as mkisofs -quiet -no-pad --set_all_file_dates 1970010100000000 "$@" | gzip -9n
}
long=$(printf 'n%.0s' $(seq 1 240))
printf 'long' >"$tree/$long"
iso -V config-2 -J -joliet-long -r -l "$tree" 2>/dev/null >rock-ridge.iso.gz
rm "$tree/link"

fat() {
    out=$1
    shift
    mkfs.vfat -C -i 00c0ffee -n CONFIG-2 "$@" >/dev/null
    printf 'x' >"$tree/openstack/latest/gone"
    mcopy -s -Q -m -i "$tree.fat" "$tree"/* ::/
    mdel -i "$tree.fat" ::/openstack/latest/gone
    rm "$tree/openstack/latest/gone"
    gzip -9n <"$tree.fat" >"$out.gz"
    rm "$tree.fat"
}
find "$tree" -exec touch -d @315532800 {} +
fat fat12 -F 12 "$tree.fat" 1024
fat fat16 -F 16 "$tree.fat" 16384
fat fat32 -F 32 -s 1 "$tree.fat" 34816

rm "$tree/$long"
iso -V cidata -J --norock "$tree" >joliet.iso.gz
iso -V CIDATA -l --norock "$tree" >plain.iso.gz
