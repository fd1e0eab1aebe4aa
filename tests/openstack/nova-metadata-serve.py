#!/usr/bin/env python3
"""Serve (and/or write as a config drive) the metadata that REAL nova code renders for
a hand-made instance: no keystone, no database, no message bus.  Needs only `pip
install nova` (and genisoimage for --config-drive).

  nova-metadata-serve.py [--listen 127.0.0.1:8775] [--spec FILE.json] [--config-drive OUT.iso]
      [--hostname vm1] [--name vm1] [--user-data FILE] [--key 'name=ssh-ed25519 AAAA..']
      [--meta k=v]... [--ip 10.0.2.15/24] [--gateway 10.0.2.2] [--dns 10.0.2.3]
      [--mac 52:54:00:12:34:56] [--static] [--file /etc/motd=LOCALFILE]... [--admin-pass PW]
      [--dump] [--netns NAME|PATH] [--portfile FILE]

The tree comes from nova.api.metadata.base.InstanceMetadata, requests are answered by
nova.api.metadata.handler.MetadataRequestHandler, the ISO is made by
nova.virt.configdrive.ConfigDriveBuilder.  Faked: only the three look-ups that need a
database or neutron (block devices, security group names, who-has-this-address).
"""
import argparse
import base64
import datetime
import ipaddress
import json
import os
import socketserver
import sys
from wsgiref import simple_server
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'true'
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pylib'))
from nova import monkey_patch
monkey_patch.patch(backend='threading')

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument('--listen')
p.add_argument('--spec', help='JSON object with the long option names as keys')
p.add_argument('--config-drive')
p.add_argument('--hostname', default='vm1')
p.add_argument('--name')
p.add_argument('--uuid', default='b5d9d0cc-b331-4952-8df6-04eac550a9ab')
p.add_argument('--project-id', default='39247e3fc4a140d08f8a600329f6e0e0')
p.add_argument('--instance-type', default='m1.tiny')
p.add_argument('--user-data')
p.add_argument('--key')
p.add_argument('--meta', action='append', default=[])
p.add_argument('--security-group', action='append', default=[])
p.add_argument('--ip', default='10.0.2.15/24')
p.add_argument('--ip6')
p.add_argument('--gateway')
p.add_argument('--dns', action='append', default=[])
p.add_argument('--mac', default='52:54:00:12:34:56')
p.add_argument('--mtu', type=int, default=1500)
p.add_argument('--static', action='store_true')
p.add_argument('--dhcp-agent', action='store_true', help='as with a neutron DHCP agent port: link mtu is null')
p.add_argument('--netns', help='listen inside this network namespace (name, or /proc/PID/ns/net)')
p.add_argument('--file', action='append', default=[])
p.add_argument('--admin-pass')
p.add_argument('--dhcp-domain', default='novalocal')
p.add_argument('--availability-zone', default='nova')
p.add_argument('--mkisofs', default='genisoimage')
p.add_argument('--vendor-data', help='JSON file, nova.conf [api]vendordata_jsonfile_path')
p.add_argument('--dump', action='store_true', help='print every config-drive path and size')
p.add_argument('--portfile', help='write the listening port here once ready')
o = p.parse_args()
if o.spec:
    with open(o.spec) as f:
        for k, v in json.load(f).items():
            setattr(o, k.replace('-', '_'), v)

import nova.conf
from nova import config, block_device, context, objects
CONF = nova.conf.CONF
config.parse_args(['nova'], default_config_files=[], configure_db=False, init_rpc=False)
CONF.set_override('dhcp_domain', o.dhcp_domain, 'api')
CONF.set_override('metadata_cache_expiration', 0, 'api')
CONF.set_override('service_metadata_proxy', False, 'neutron')
CONF.set_override('mkisofs_cmd', o.mkisofs)
if o.vendor_data:
    CONF.set_override('vendordata_jsonfile_path', o.vendor_data, 'api')
objects.register_all()
from nova.api.metadata import base, handler
from nova.network import model as net
from nova.virt import configdrive

# ---- network_info, as neutron would have filled it
iface = ipaddress.ip_interface(o.ip)
gw = o.gateway or str(iface.network.network_address + 1)
subs = [net.Subnet(cidr=str(iface.network), gateway=net.IP(address=gw, type='gateway'),
                   dns=[net.IP(address=d, type='dns') for d in o.dns], routes=[],
                   ips=[net.FixedIP(address=str(iface.ip))],
                   **({} if o.static else {'dhcp_server': gw} if o.dhcp_agent else {'enable_dhcp': True}))]
if o.ip6:
    i6 = ipaddress.ip_interface(o.ip6)
    subs.append(net.Subnet(cidr=str(i6.network), gateway=net.IP(address=str(i6.network.network_address + 1), type='gateway'),
                           dns=[], routes=[], ips=[net.FixedIP(address=str(i6.ip))]))
vif = net.VIF(id='22bd0c0a-c650-4134-ba80-f834901a73c2', address=o.mac, type='ovs', devname='tap22bd0c0a-c6',
              network=net.Network(id='cb45c4f7-f18d-40c1-9597-6e668cee08f8', bridge='br-int', label='net1',
                                  subnets=subs, injected=o.static, mtu=o.mtu))
nwi = net.NetworkInfo([vif])

# ---- the instance
ctxt = context.get_admin_context()
inst = objects.Instance(
    context=ctxt, id=1, uuid=o.uuid, project_id=o.project_id, user_id='u', display_name=o.name or o.hostname,
    hostname=o.hostname, launch_index=0, reservation_id='r-00000001', availability_zone=o.availability_zone,
    host='compute', node='compute', launched_at=datetime.datetime.now(datetime.timezone.utc),
    image_ref='', kernel_id='', ramdisk_id='', root_device_name='/dev/vda',
    default_ephemeral_device=None, default_swap_device=None, config_drive='True' if o.config_drive else '',
    metadata=dict(m.split('=', 1) for m in o.meta), system_metadata={},
    user_data=None, key_name=None, key_data=None, device_metadata=None, numa_topology=None,
    keypairs=objects.KeyPairList(objects=[]),
    ec2_ids=objects.EC2Ids(instance_id='i-00000001', ami_id='ami-00000001', kernel_id=None, ramdisk_id=None),
    flavor=objects.Flavor(name=o.instance_type, memory_mb=512, vcpus=1, root_gb=1, ephemeral_gb=0, swap=0,
                          flavorid='1', extra_specs={}),
    info_cache=objects.InstanceInfoCache(network_info=nwi),
    security_groups=objects.SecurityGroupList(objects=[]))
if o.user_data:
    with open(o.user_data, 'rb') as f:
        inst.user_data = base64.b64encode(f.read()).decode()   # as `POST /servers` carries it
if o.key:
    kn, kd = o.key.split('=', 1)
    if os.path.exists(kd):
        kd = open(kd).read()
    inst.key_name, inst.key_data = kn, kd
    inst.keypairs = objects.KeyPairList(objects=[objects.KeyPair(name=kn, public_key=kd, type='ssh')])

# ---- the three look-ups that would leave the process
base._format_instance_mapping = lambda i: block_device.instance_block_mapping(i, [])
base.security_group_api.get_instance_security_groups = \
    lambda c, i, detailed=False: [{'name': n} for n in (o.security_group or ['default'])]
content = []
for f in o.file:
    path, local = f.split('=', 1)
    content.append((path, open(local, 'rb').read()))
extra = {'admin_pass': o.admin_pass} if o.admin_pass else None


def make(for_drive=False):
    # the web service never carries personality files or the admin password; a drive does
    return base.InstanceMetadata(inst, address=str(iface.ip), network_info=nwi,
                                 content=content if for_drive else None,
                                 extra_md=extra if for_drive else None)


if o.config_drive:
    with configdrive.ConfigDriveBuilder(instance_md=make(True)) as cdb:
        if o.dump:
            for path, data in cdb.mdfiles:
                print(path, len(data))
        cdb.make_drive(o.config_drive)
    print('wrote', o.config_drive, file=sys.stderr)
elif o.dump:
    for path, data in make().metadata_for_config_drive():
        print(path, len(data))

if o.listen:
    class App(handler.MetadataRequestHandler):
        def get_metadata_by_remote_address(self, address):
            return make()

    class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
        daemon_threads = True
        allow_reuse_address = True

    class Handler(simple_server.WSGIRequestHandler):
        def address_string(self):
            return self.client_address[0]

    host, port = o.listen.rsplit(':', 1)
    from netns import inside
    with inside(o.netns):
        httpd = simple_server.make_server(host, int(port), App(), Server, Handler)
    if o.portfile:
        with open(o.portfile + '.tmp', 'w') as f:
            f.write('%d\n' % httpd.server_address[1])
        os.rename(o.portfile + '.tmp', o.portfile)
    print('nova metadata on %s:%d' % httpd.server_address[:2], file=sys.stderr, flush=True)
    httpd.serve_forever()
