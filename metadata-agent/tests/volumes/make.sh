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

# Whole seeds.
seed=$(mktemp -d)
trap 'rm -r "$tree" "$seed"' EXIT
printf 'instance-id: iid-7\nlocal-hostname: web-7\npublic-keys:\n  - ssh-rsa AAAA\n' >"$seed/meta-data"
printf '{"a": {"content": "1"}}' >"$seed/user-data"
printf 'version: 2\n' >"$seed/network-config"
mkfs.vfat -C -i 00c0ffee -n CIDATA -F 12 "$seed.fat" 1024 >/dev/null
find "$seed" -exec touch -d @315532800 {} +
mcopy -s -Q -m -i "$seed.fat" "$seed"/* ::/
gzip -9n <"$seed.fat" >nocloud.fat.gz
rm "$seed.fat"
iso -V cidata -J -r "$seed" 2>/dev/null >nocloud.iso.gz
rm "$seed"/*
printf '{"b": {"content": "2"}}' >"$seed/config"
touch -d @315532800 "$seed/config" "$seed"
iso -V ISOIMAGE "$seed" 2>/dev/null >linuxkit.iso.gz
rm "$seed"/*
cat >"$seed/ovf-env.xml" <<'XML'
<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure">
 <ns1:ProvisioningSection><ns1:Version>1.0</ns1:Version>
  <ns1:LinuxProvisioningConfigurationSet>
   <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
   <ns1:HostName>web-9</ns1:HostName><ns1:UserName>me</ns1:UserName>
   <ns1:CustomData>eyJjIjogeyJjb250ZW50IjogIjMifX0=</ns1:CustomData>
  </ns1:LinuxProvisioningConfigurationSet>
 </ns1:ProvisioningSection>
</ns0:Environment>
XML
touch -d @315532800 "$seed/ovf-env.xml" "$seed"
iso -V rd_rdfe_stable.260101 -J "$seed" 2>/dev/null >azure.iso.gz
